#pragma once
/// nlohmann's JSON, with what every reader and writer of it would else compile for itself compiled once (core/json.cpp): half
/// of what a source that uses it costs. Declare it in headers with <nlohmann/json_fwd.hpp>.

#include <nlohmann/json.hpp>

#include <string>

namespace keyshift {

using JsonInputOfString = nlohmann::detail::iterator_input_adapter<std::string::const_iterator>;
using JsonInputOfView = nlohmann::detail::iterator_input_adapter<const char*>;

} // namespace keyshift

extern template class nlohmann::detail::serializer<nlohmann::json>;
extern template class nlohmann::detail::json_sax_dom_parser<nlohmann::json>;
extern template class nlohmann::detail::json_sax_dom_callback_parser<nlohmann::json>;
extern template class nlohmann::detail::lexer<nlohmann::json, keyshift::JsonInputOfString>;
extern template class nlohmann::detail::lexer<nlohmann::json, keyshift::JsonInputOfView>;
extern template class nlohmann::detail::parser<nlohmann::json, keyshift::JsonInputOfString>;
extern template class nlohmann::detail::parser<nlohmann::json, keyshift::JsonInputOfView>;

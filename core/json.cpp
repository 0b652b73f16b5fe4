#include "core/json.hpp"

template class nlohmann::detail::serializer<nlohmann::json>;
template class nlohmann::detail::json_sax_dom_parser<nlohmann::json>;
template class nlohmann::detail::json_sax_dom_callback_parser<nlohmann::json>;
template class nlohmann::detail::lexer<nlohmann::json, keyshift::JsonInputOfString>;
template class nlohmann::detail::lexer<nlohmann::json, keyshift::JsonInputOfView>;
template class nlohmann::detail::parser<nlohmann::json, keyshift::JsonInputOfString>;
template class nlohmann::detail::parser<nlohmann::json, keyshift::JsonInputOfView>;

#pragma once
/// PostgreSQL's text of arrays and hstore values, taken apart (PostgreSQL docs: "Array Input and Output Syntax").

#include <optional>
#include <string>
#include <string_view>

namespace keyshift::cdc {

/// Skips explicit bounds ("[0:1]={...}").
std::string_view without_bounds(std::string_view array);
/// Takes one element off the front, up to the delimiter or '}'; nullopt: NULL.
std::optional<std::string> take_element(std::string_view& text, char delimiter = ',');
/// `"a"=>"1", "b"=>NULL` as a JSON object.
std::string hstore_json(std::string_view text);
/// The same as a text, for a JSON string to hold.
std::string hstore_json_text(std::string_view text);

} // namespace keyshift::cdc

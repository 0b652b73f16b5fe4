/// JSON of anybody's as a column's value: a text, NULL or a refusal.

#include "projections/value_codec.hpp"
#include "tests/fuzz/column_types.hpp"
#include "tests/fuzz/json_check.hpp"

#include <array>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace keyshift;
    fuzz::Input input(data, size);
    const TypeSchema type = fuzz::any_type(input);
    const std::uint8_t shape = input.byte();
    const std::string name = type.kind == 'e' ? "enum" : type.element ? type.element->name : type.name;
    constexpr std::array kForms{"", "string", "double", "microseconds", "connect", "isostring", "base64", "hex"};
    const projections::BaseColumn column{
        "c", name, name, type.modifier, type.element != nullptr, kForms.at(shape % kForms.size())};
    static simdjson::dom::parser parser;
    const std::string json(input.rest());
    simdjson::dom::element document;
    if (parser.parse(json).get(document) != simdjson::SUCCESS) {
        return 0;
    }
    const auto value = projections::decode_value(column, document);
    if (value && *value) {
        fuzz::promise(simdjson::validate_utf8((*value)->data(), (*value)->size()), "a value is UTF-8", json);
    }
    return 0;
}

/// Whatever text a column has, in every form and under every option: what is written is JSON.

#include "cdc/publish/connect_schema.hpp"
#include "cdc/publish/value_encoder.hpp"
#include "tests/fuzz/column_types.hpp"
#include "tests/fuzz/json_check.hpp"

namespace {

using namespace keyshift;

/// The JSON text inside a JSON string.
void check_inner_json(simdjson::dom::element value)
{
    std::string_view text;
    if (value.get(text) == simdjson::SUCCESS) {
        const std::string inner(text);
        fuzz::must_be_json("an hstore's text is JSON", inner);
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    fuzz::Input input(data, size);
    constexpr std::array kDecimals{cdc::DecimalMode::precise, cdc::DecimalMode::string, cdc::DecimalMode::real};
    cdc::ValueOptions options;
    options.decimal = kDecimals.at(input.below(kDecimals.size()));
    const std::uint8_t modes = input.byte();
    options.time = static_cast<cdc::TimeMode>(modes & 3U);
    options.binary = static_cast<cdc::BinaryMode>((modes >> 2U & 3U) % 3U);
    options.interval = static_cast<cdc::IntervalMode>(modes >> 4U & 1U);
    options.hstore = static_cast<cdc::HstoreMode>(modes >> 5U & 1U);
    options.unknown_types = static_cast<cdc::UnknownTypes>(modes >> 6U & 1U);
    const TypeSchema type = fuzz::any_type(input);
    const auto encoder = cdc::ValueEncoder::for_type(type, options);
    if (!encoder) {
        return 0;
    }
    // A buffer of its own, so that a read beyond the text is seen.
    const std::string text = fuzz::as_postgres_text(input.rest());
    std::string json = "[";
    encoder->append(json, text);
    json += ',';
    encoder->append_unavailable(json);
    json += ']';
    const auto document = fuzz::must_be_json("a value of type " + type.name + " is JSON", json);
    if (encoder->form() == cdc::ValueForm::hstore) {
        check_inner_json(document.at(0));
    }
    fuzz::must_be_json("a column's schema is JSON",
                       cdc::field_schema({cdc::bottom_type(type), encoder->form(), options, true, "", "\"c\"", ""}));
    return 0;
}

/// The readers of PostgreSQL's texts, each on its own: they end, stay inside the text, and what they take is smaller.

#include "cdc/publish/array_text.hpp"
#include "cdc/publish/bytes_text.hpp"
#include "cdc/publish/number_text.hpp"
#include "cdc/publish/temporal_text.hpp"
#include "cdc/source/default_literal.hpp"
#include "core/error.hpp"
#include "core/lsn.hpp"
#include "core/names.hpp"
#include "tests/fuzz/json_check.hpp"

#include <optional>
#include <string>

namespace {

using namespace keyshift;

void read_array(std::string_view text)
{
    text = cdc::without_bounds(text);
    while (!text.empty()) {
        const std::size_t before = text.size();
        cdc::take_element(text);
        text.remove_prefix(text.size() == before ? 1 : 0);
    }
}

void read_numbers(const std::string& text)
{
    for (const auto width : {cdc::FloatWidth::single_width, cdc::FloatWidth::double_width}) {
        std::string json = "[";
        cdc::append_java_float(json, text, width);
        fuzz::must_be_json("a float is JSON", json += ']');
    }
    std::string json = "[";
    cdc::append_java_double_of_decimal(json, text);
    fuzz::must_be_json("a decimal as a double is JSON", json += ']');
    if (const auto value = cdc::read_decimal(text)) {
        fuzz::promise(!cdc::twos_complement(*value).empty(), "a number has a byte", text);
        cdc::twos_complement(cdc::stripped(*value));
        cdc::twos_complement(cdc::rescaled(*value, 7));
        cdc::twos_complement(cdc::rescaled(*value, -7));
    }
}

void read_times(const std::string& text)
{
    cdc::epoch_days(text);
    cdc::day_microseconds(text);
    cdc::epoch_microseconds(text);
    cdc::interval_microseconds(text);
    for (const int digits : {0, 3, 6}) {
        cdc::zoned_timestamp(text, digits);
    }
    cdc::zoned_time(text);
}

void read_names(const std::string& text)
{
    std::optional<QualifiedName> name;
    try {
        name = QualifiedName::parse(text);
    } catch (const Error&) {
        // No name, and it says so.
    }
    if (name) {
        fuzz::promise(QualifiedName::parse(name->quoted()) == *name, "a quoted name reads back", text);
    }
    cdc::default_literal(text);
    cdc::is_call(text);
    if (const auto lsn = Lsn::parse(text)) {
        fuzz::promise(Lsn::parse(lsn->to_string()) == lsn, "an LSN reads back", text);
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    fuzz::Input input(data, size);
    const std::string text = fuzz::as_postgres_text(input.rest());
    read_array(text);
    fuzz::must_be_json("an hstore is JSON", cdc::hstore_json(text));
    read_numbers(text);
    read_times(text);
    read_names(text);
    if (const auto point = cdc::read_point(text)) {
        cdc::well_known_binary(*point);
    }
    cdc::bytes_of_bits(text);
    std::string json;
    cdc::append_base64_of_hex(json, text);
    fuzz::must_be_json("bytes are JSON", json);
    return 0;
}

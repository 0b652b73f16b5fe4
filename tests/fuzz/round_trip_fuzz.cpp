/// What a projection may keep comes through Kafka as it was: PostgreSQL's text, as Debezium's JSON, as text that PostgreSQL
/// reads as the same value, for every type of which projections::lost_in_events() says nothing.

#include "cdc/publish/value_encoder.hpp"
#include "projections/value_codec.hpp"
#include "tests/fuzz/column_types.hpp"
#include "tests/fuzz/postgres_values.hpp"

#include <vector>

namespace {

using namespace keyshift;

constexpr std::string_view kLastYear = "294247"; // the last of which 64 bits hold some microseconds

/// One spelling of the values that have several.
std::string normal(std::string text, const std::string& type)
{
    if (type == "float4" || type == "float8") {
        double value = 0;
        std::from_chars(text.data(), text.data() + text.size(), value);
        // As float4's input does: through the nearest float.
        return type == "float8" ? fmt::format("{}", value) : fmt::format("{}", static_cast<float>(value));
    }
    if (type == "timestamptz" && text.size() > 11 && text.find('T') != std::string::npos) {
        text[text.find('T')] = ' ';
        text.replace(text.find('Z'), 1, "+00");
    }
    if (type == "time" || type.starts_with("timestamp")) {
        if (const std::size_t point = text.find('.'); point != std::string::npos) {
            std::size_t end = text.find_first_of("+ ", point);
            end = std::min(end, text.size());
            std::size_t keep = text.find_last_not_of('0', end - 1) + 1;
            keep = keep == point + 1 ? point : keep;
            text.erase(keep, end - keep);
        }
    }
    if (type == "numeric" && text.find('.') != std::string::npos) {
        text.erase(text.find_last_not_of('0') + 1);
        text.erase(text.find_last_not_of('.') + 1);
    }
    return text;
}

struct Made {
    std::string text;
    std::string expected; ///< what the decoder should say, in normal spelling
};

class RoundTrip {
public:
    explicit RoundTrip(fuzz::Input& input) : input_(input) {}

    void run()
    {
        type_ = test::type(fuzz::kTypeNames.at(input_.below(fuzz::kTypeNames.size())));
        const std::uint8_t shape = input_.byte();
        shape_modifier(shape);
        const bool array = (shape & 0x80U) != 0;
        column_ = {"c", type_.name, type_.name, type_.modifier, array};
        decimal_ = (shape & 0x40U) != 0 ? cdc::DecimalMode::string : cdc::DecimalMode::precise;
        column_.form = type_.name == "numeric" && decimal_ == cdc::DecimalMode::string ? "string" : "";
        const auto encoder = cdc::ValueEncoder::for_type(array ? test::array_of(type_) : type_, {.decimal = decimal_});
        if (!encoder || projections::lost_in_events(column_)) {
            return;
        }
        const std::optional<Made> made = array ? make_array(2) : make_scalar();
        if (made) {
            check(*encoder, *made);
        }
    }

private:
    void shape_modifier(std::uint8_t shape)
    {
        if (type_.name.starts_with("time")) {
            type_.modifier = shape % 8 > 6 ? -1 : shape % 8;
        } else if (type_.name == "numeric" && shape % 3 != 0) {
            type_.modifier = test::numeric_modifier(300, static_cast<int>(input_.below(60)) - 20);
        }
    }

    std::optional<Made> make_scalar()
    {
        const auto text = fuzz::postgres_value(input_, type_.name, type_.modifier);
        // Six digits of a year compare as text.
        beyond_ = beyond_ || (text && text->find('-') == 6 && text->substr(0, 6) >= kLastYear);
        return text ? std::optional(Made{*text, normal(*text, type_.name)}) : std::nullopt;
    }

    /// A rectangular array of one or two dimensions.
    std::optional<Made> make_array(int depth)
    {
        const std::size_t count = depth == 1 ? width_ : input_.below(4);
        const bool deeper = depth == 2 && (width_ = input_.below(4)) > 0 && count > 0;
        Made all{"{", "{"};
        for (std::size_t index = 0; index < count; ++index) {
            const bool null = !deeper && input_.below(5) == 0;
            const auto one = deeper ? make_array(1) : make_scalar();
            if (!one) {
                return std::nullopt;
            }
            all.text += index == 0 ? "" : ",";
            all.expected += index == 0 ? "" : ",";
            all.text += null ? "NULL" : deeper ? one->text : fuzz::array_element(one->text);
            all.expected += null ? "NULL" : deeper ? one->expected : quoted(one->expected);
        }
        return Made{all.text + "}", all.expected + "}"};
    }

    static std::string quoted(const std::string& text)
    {
        std::string out = "\"";
        for (const char letter : text) {
            out += letter == '"' || letter == '\\' ? "\\" : "";
            out += letter;
        }
        return out + '"';
    }

    /// Elements of what the decoder gave, in their normal spelling.
    std::string normal_array(std::string_view text) const
    {
        std::string out;
        while (!text.empty()) {
            if (text.front() != '"') {
                out += text.front();
                text.remove_prefix(1);
                continue;
            }
            std::string element;
            for (text.remove_prefix(1); text.front() != '"'; text.remove_prefix(1)) {
                text.remove_prefix(text.front() == '\\' ? 1 : 0);
                element += text.front();
            }
            text.remove_prefix(1);
            out += quoted(normal(element, type_.name));
        }
        return out;
    }

    void check(const cdc::ValueEncoder& encoder, const Made& made) const
    {
        std::string json = "[";
        encoder.append(json, made.text);
        json += ']';
        const auto document = fuzz::must_be_json("a value is JSON", json);
        const auto back = projections::decode_value(column_, document.at(0));
        if (beyond_ && type_.name == "timestamp" && !back) {
            return; // the record does not hold it: refused is right, another moment is not
        }
        const std::string evidence = type_.name + " " + made.text + " as " + json;
        fuzz::promise(back.has_value(), "a value's JSON is of its column's type", evidence);
        fuzz::promise(back->has_value(), "a value does not become NULL", evidence);
        const std::string got = column_.array ? normal_array(**back) : normal(**back, type_.name);
        fuzz::promise(got == made.expected, "a value comes back as it was", evidence + " gave " + **back);
    }

    fuzz::Input& input_;
    TypeSchema type_;
    projections::BaseColumn column_;
    cdc::DecimalMode decimal_ = cdc::DecimalMode::precise;
    std::size_t width_ = 0;
    bool beyond_ = false; ///< a year is made whose microseconds 64 bits may not hold
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    fuzz::Input input(data, size);
    RoundTrip(input).run();
    return 0;
}

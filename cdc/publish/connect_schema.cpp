#include "cdc/publish/connect_schema.hpp"

#include "cdc/publish/json_text.hpp"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace keyshift::cdc {

namespace {

// Length of a varbit without limit, as Java has it.
constexpr std::int32_t kNoLimit = 2147483647;
// numeric(p,s): the precision is above the scale in the modifier (PostgreSQL: numerictypmodin).
constexpr std::int32_t kModifierOffset = 4;
constexpr std::int32_t kPrecisionShift = 16;

/// What stands before and behind "optional" in a schema.
struct Shape {
    std::string type; ///< "string", or "struct" with its fields: everything up to "optional"
    std::string name; ///< from "name" on; may be empty
};

std::string simple(std::string_view type)
{
    return fmt::format(R"("type":"{}")", type);
}

std::string named(std::string_view name, std::string_view more = "")
{
    return fmt::format(R"(,"name":"{}","version":1{})", name, more);
}

Shape literal_shape(const TypeSchema& type)
{
    return {simple(type.name == "int2" ? "int16" : type.name == "int4" ? "int32" : "int64"), ""};
}

Shape text_shape(const TypeSchema& type)
{
    if (type.kind == 'e') {
        std::string allowed;
        append_string(allowed, fmt::format("{}", fmt::join(type.enum_labels, ",")));
        return {simple("string"),
                named("io.debezium.data.Enum", fmt::format(R"(,"parameters":{{"allowed":{}}})", allowed))};
    }
    const std::string_view name = type.name == "uuid"                           ? "io.debezium.data.Uuid"
                                  : type.name == "json" || type.name == "jsonb" ? "io.debezium.data.Json"
                                  : type.name == "xml"                          ? "io.debezium.data.Xml"
                                  : type.name == "ltree"                        ? "io.debezium.data.Ltree"
                                                                                : "";
    return {simple("string"), name.empty() ? "" : named(name)};
}

Shape decimal_shape(const TypeSchema& type, ValueForm form)
{
    std::string parameters = fmt::format(R"("scale":"{}")", form == ValueForm::money ? 2 : digits_of(type));
    if (form == ValueForm::decimal) {
        parameters += fmt::format(R"(,"connect.decimal.precision":"{}")",
                                  (type.modifier - kModifierOffset) >> kPrecisionShift & 0xFFFF);
    }
    return {simple("bytes"),
            named("org.apache.kafka.connect.data.Decimal", fmt::format(R"(,"parameters":{{{}}})", parameters))};
}

Shape bits_shape(const TypeSchema& type)
{
    return {simple("bytes"), named("io.debezium.data.Bits", fmt::format(R"(,"parameters":{{"length":"{}"}})",
                                                                        type.modifier < 0 ? kNoLimit : type.modifier))};
}

Shape array_shape(const TypeSchema& type, const ValueOptions& values)
{
    FieldSchema element;
    const TypeForm form = element_form_of(type, values).value();
    element.type = element_type(type);
    element.form = form.form;
    element.values = values;
    element.optional = element.type.kind != 'e' && !form.opaque;
    return {R"("type":"array","items":)" + field_schema(element), ""};
}

/// Of dates and times.
Shape temporal_shape(ValueForm form)
{
    switch (form) {
    case ValueForm::date:
        return {simple("int32"), named("io.debezium.time.Date")};
    case ValueForm::milliseconds_of_day:
        return {simple("int32"), named("io.debezium.time.Time")};
    case ValueForm::microseconds_of_day:
        return {simple("int64"), named("io.debezium.time.MicroTime")};
    case ValueForm::zoned_time:
        return {simple("string"), named("io.debezium.time.ZonedTime")};
    case ValueForm::milliseconds:
        return {simple("int64"), named("io.debezium.time.Timestamp")};
    case ValueForm::microseconds:
        return {simple("int64"), named("io.debezium.time.MicroTimestamp")};
    case ValueForm::connect_date:
        return {simple("int32"), named("org.apache.kafka.connect.data.Date")};
    case ValueForm::connect_milliseconds_of_day:
        return {simple("int32"), named("org.apache.kafka.connect.data.Time")};
    case ValueForm::connect_milliseconds:
        return {simple("int64"), named("org.apache.kafka.connect.data.Timestamp")};
    case ValueForm::iso_date:
        return {simple("string"), named("io.debezium.time.IsoDate")};
    case ValueForm::iso_time:
        return {simple("string"), named("io.debezium.time.IsoTime")};
    case ValueForm::iso_timestamp:
        return {simple("string"), named("io.debezium.time.IsoTimestamp")};
    case ValueForm::interval:
        return {simple("int64"), named("io.debezium.time.MicroDuration")};
    case ValueForm::interval_text:
        return {simple("string"), named("io.debezium.time.Interval")};
    default:
        return {simple("string"), named("io.debezium.time.ZonedTimestamp")};
    }
}

Shape shape_of(const TypeSchema& type, ValueForm form, const ValueOptions& values)
{
    switch (form) {
    case ValueForm::literal:
        return literal_shape(type);
    case ValueForm::boolean:
    case ValueForm::bit:
        return {simple("boolean"), ""};
    case ValueForm::single_real:
        return {simple("float"), ""};
    case ValueForm::double_real:
    case ValueForm::decimal_real:
    case ValueForm::money_real:
        return {simple("double"), ""};
    case ValueForm::decimal_text:
    case ValueForm::money_text:
    case ValueForm::base64_text:
    case ValueForm::hex_text:
        return {simple("string"), ""};
    case ValueForm::decimal:
    case ValueForm::money:
        return decimal_shape(type, form);
    case ValueForm::variable_decimal:
        return {
            R"("type":"struct","fields":[{"type":"int32","optional":false,"field":"scale"},{"type":"bytes","optional":false,"field":"value"}])",
            named("io.debezium.data.VariableScaleDecimal", R"(,"doc":"Variable scaled decimal")")};
    case ValueForm::text:
        return text_shape(type);
    case ValueForm::bytes:
        return {simple("bytes"), ""};
    case ValueForm::bits:
        return bits_shape(type);
    case ValueForm::hstore:
        return {simple("string"), named("io.debezium.data.Json")};
    case ValueForm::hstore_map:
        return {R"("type":"map","keys":{"type":"string","optional":false},"values":{"type":"string","optional":true})",
                ""};
    case ValueForm::point:
        return {
            R"("type":"struct","fields":[{"type":"double","optional":false,"field":"x"},{"type":"double","optional":false,"field":"y"},{"type":"bytes","optional":true,"field":"wkb"},{"type":"int32","optional":true,"field":"srid"}])",
            named("io.debezium.data.geometry.Point", R"json(,"doc":"Geometry (POINT)")json")};
    case ValueForm::array:
        return array_shape(type, values);
    default:
        return temporal_shape(form);
    }
}

/// Puts one more parameter behind those that the shape has.
std::string with_parameter(std::string name, const std::string& parameter)
{
    static constexpr std::string_view kParameters = R"(,"parameters":{)";
    if (parameter.empty()) {
        return name;
    }
    if (name.find(kParameters) == std::string::npos) {
        return fmt::format("{}{}{}}}", name, kParameters, parameter);
    }
    name.insert(name.rfind('}'), "," + parameter);
    return name;
}

constexpr std::string_view kSource =
    R"({"type":"struct","fields":[{"type":"string","optional":false,"field":"version"},)"
    R"({"type":"string","optional":false,"field":"connector"},{"type":"string","optional":false,"field":"name"},)"
    R"({"type":"int64","optional":false,"field":"ts_ms"},{"type":"string","optional":true,"name":"io.debezium.data.Enum",)"
    R"("version":1,"parameters":{"allowed":"true,first,first_in_data_collection,last_in_data_collection,last,false,incremental"},)"
    R"("default":"false","field":"snapshot"},{"type":"string","optional":false,"field":"db"},)"
    R"({"type":"string","optional":true,"field":"sequence"},{"type":"int64","optional":true,"field":"ts_us"},)"
    R"({"type":"int64","optional":true,"field":"ts_ns"},{"type":"string","optional":false,"field":"schema"},)"
    R"({"type":"string","optional":false,"field":"table"},{"type":"int64","optional":true,"field":"txId"},)"
    R"({"type":"int64","optional":true,"field":"lsn"},{"type":"int64","optional":true,"field":"xmin"}],)"
    R"("optional":false,"name":"io.debezium.connector.postgresql.Source","version":1,"field":"source"})";
constexpr std::string_view kTransaction =
    R"({"type":"struct","fields":[{"type":"string","optional":false,"field":"id"},)"
    R"({"type":"int64","optional":false,"field":"total_order"},{"type":"int64","optional":false,"field":"data_collection_order"}],)"
    R"("optional":true,"name":"event.block","version":1,"field":"transaction"})";
constexpr std::string_view kAfterTransaction =
    R"({"type":"string","optional":false,"field":"op"},{"type":"int64","optional":true,"field":"ts_ms"},)"
    R"({"type":"int64","optional":true,"field":"ts_us"},{"type":"int64","optional":true,"field":"ts_ns"}])";

} // namespace

std::string field_schema(const FieldSchema& field)
{
    const Shape shape = shape_of(field.type, field.form, field.values);
    std::string out =
        fmt::format(R"({{{},"optional":{}{})", shape.type, field.optional, with_parameter(shape.name, field.parameter));
    if (!field.default_json.empty()) {
        out += R"(,"default":)" + field.default_json;
    }
    if (!field.name_json.empty()) {
        out += R"(,"field":)" + field.name_json;
    }
    return out + '}';
}

std::string connect_value_head(std::string_view name, const std::vector<std::string>& fields)
{
    const auto side = [&](std::string_view field) {
        return fmt::format(R"({{"type":"struct","fields":[{}],"optional":true,"name":"{}.Value","field":"{}"}})",
                           fmt::join(fields, ","), name, field);
    };
    return fmt::format(
        R"({{"schema":{{"type":"struct","fields":[{},{},{},{},{},"optional":false,"name":"{}.Envelope","version":2}},"payload":)",
        side("before"), side("after"), kSource, kTransaction, kAfterTransaction, name);
}

std::string connect_key_head(std::string_view name, const std::vector<std::string>& fields)
{
    return fmt::format(R"({{"schema":{{"type":"struct","fields":[{}],"optional":false,"name":"{}.Key"}},"payload":)",
                       fmt::join(fields, ","), name);
}

std::string_view heartbeat_key_head()
{
    return R"({"schema":{"type":"struct","fields":[{"type":"string","optional":false,"field":"serverName"}],)"
           R"("optional":false,"name":"io.debezium.connector.common.ServerNameKey","version":1},"payload":)";
}

std::string_view heartbeat_value_head()
{
    return R"({"schema":{"type":"struct","fields":[{"type":"int64","optional":false,"field":"ts_ms"}],)"
           R"("optional":false,"name":"io.debezium.connector.common.Heartbeat","version":1},"payload":)";
}

std::string_view message_key_head()
{
    return R"({"schema":{"type":"struct","fields":[{"type":"string","optional":true,"field":"prefix"}],"optional":false,)"
           R"("name":"io.debezium.connector.postgresql.MessageKey","version":1},"payload":)";
}

const std::string& message_value_head(bool bytes)
{
    const auto with_content = [](std::string_view type) {
        return fmt::format(
            R"({{"schema":{{"type":"struct","fields":[{{"type":"string","optional":false,"field":"op"}},)"
            R"({{"type":"int64","optional":true,"field":"ts_ms"}},{},{},)"
            R"({{"type":"struct","fields":[{{"type":"string","optional":true,"field":"prefix"}},)"
            R"({{"type":"{}","optional":true,"field":"content"}}],"optional":false,)"
            R"("name":"io.debezium.connector.postgresql.Message","version":1,"field":"message"}}],)"
            R"("optional":false,"name":"io.debezium.connector.postgresql.MessageValue","version":1}},"payload":)",
            kSource, kTransaction, type);
    };
    static const std::string head = with_content("bytes");
    static const std::string head_of_text = with_content("string");
    return bytes ? head : head_of_text;
}

std::string_view transaction_key_head()
{
    return R"({"schema":{"type":"struct","fields":[{"type":"string","optional":false,"field":"id"}],"optional":false,)"
           R"("name":"io.debezium.connector.common.TransactionMetadataKey","version":1},"payload":)";
}

std::string_view transaction_value_head()
{
    return R"({"schema":{"type":"struct","fields":[{"type":"string","optional":false,"field":"status"},)"
           R"({"type":"string","optional":false,"field":"id"},{"type":"int64","optional":true,"field":"event_count"},)"
           R"({"type":"array","items":{"type":"struct","fields":[{"type":"string","optional":false,"field":"data_collection"},)"
           R"({"type":"int64","optional":false,"field":"event_count"}],"optional":true,"name":"event.collection","version":1},)"
           R"("optional":true,"field":"data_collections"},{"type":"int64","optional":false,"field":"ts_ms"}],)"
           R"("optional":false,"name":"io.debezium.connector.common.TransactionMetadataValue","version":1},"payload":)";
}

} // namespace keyshift::cdc

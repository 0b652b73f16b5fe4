#pragma once
/// The schema half of {"schema":...,"payload":...}: what Kafka Connect's JsonConverter writes for a Debezium record, as JSON
/// text in its order of members (type, fields or items, optional, name, version, doc, parameters, default, field).

#include "cdc/publish/value_form.hpp"
#include "core/schema.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace keyshift::cdc {

/// The schema of one column. `type` is a bottom type, `default_json` its default as JSON (empty: none).
struct FieldSchema {
    TypeSchema type;
    ValueForm form{};
    ValueOptions values; ///< of an array's elements
    bool optional = true;
    std::string default_json;
    std::string name_json; ///< of the column, as a JSON string
    std::string parameter; ///< one more member of the schema's parameters; may be empty
};
std::string field_schema(const FieldSchema& field);

/// `{"schema":{...},"payload":` of a table's values; `name` is its topic, `fields` the columns' schemas.
std::string connect_value_head(std::string_view name, const std::vector<std::string>& fields);
/// The same of a key.
std::string connect_key_head(std::string_view name, const std::vector<std::string>& fields);
/// The same of a heartbeat's key and value.
std::string_view heartbeat_key_head();
std::string_view heartbeat_value_head();
/// Of a logical message, whose content is bytes or a text.
std::string_view message_key_head();
const std::string& message_value_head(bool bytes);
/// Of a record of the transaction topic.
std::string_view transaction_key_head();
std::string_view transaction_value_head();

} // namespace keyshift::cdc

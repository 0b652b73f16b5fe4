#include "resharder/steps/control_message.hpp"

#include "core/json.hpp"

namespace keyshift::resharder {

void emit_control_message(pg::Connection& node, const BucketMove& move, std::string_view type, Lsn lsn)
{
    const nlohmann::ordered_json content{
        {"type", type},
        {"move", move.id},
        {"group", move.group},
        {"bucket", number(move.bucket)},
        {"epoch", number(move.epoch)},
        {"token", move.token},
        {"lsn", lsn.to_string()},
    };
    node.query("SELECT pg_logical_emit_message(true, 'keyshift', $1)", {content.dump()});
}

} // namespace keyshift::resharder

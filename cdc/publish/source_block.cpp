#include "cdc/publish/source_block.hpp"

#include <array>
#include <charconv>

namespace keyshift::cdc {

namespace {

void append_number(std::string& out, std::int64_t value)
{
    std::array<char, 24> buffer{};
    out.append(buffer.data(), std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr);
}

} // namespace

void append_source(std::string& out, const EventContext& context, const TableEncoder& table)
{
    out += table.source_head();
    append_number(out, context.commit_time_us / 1000);
    out += R"(,"snapshot":")";
    out += context.snapshot;
    out += '"';
    out += table.source_db();
    // JSON text inside JSON: ["<last commit>","<lsn>"]
    out += R"("[)";
    if (context.last_commit_lsn) {
        out += R"(\")";
        append_number(out, static_cast<std::int64_t>(context.last_commit_lsn->value));
        out += R"(\",)";
    } else {
        out += "null,";
    }
    out += R"(\")";
    append_number(out, static_cast<std::int64_t>(context.lsn.value));
    out += R"(\"]","ts_us":)";
    append_number(out, context.commit_time_us);
    out += R"(,"ts_ns":)";
    append_number(out, context.commit_time_us * 1000);
    out += table.source_table();
    if (context.xid == 0) {
        out += "null";
    } else {
        append_number(out, context.xid);
    }
    out += R"(,"lsn":)";
    append_number(out, static_cast<std::int64_t>(context.lsn.value));
    out += R"(,"xmin":null})";
}

} // namespace keyshift::cdc

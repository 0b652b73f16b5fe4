#include "cdc/publish/source_block.hpp"

#include "cdc/publish/json_text.hpp"

namespace keyshift::cdc {

bool SourceBlock::fits(const EventContext& context, const TableEncoder& table) const
{
    return table_ == &table && commit_time_us_ == context.commit_time_us && xid_ == context.xid &&
           last_commit_lsn_ == context.last_commit_lsn && snapshot_ == context.snapshot;
}

void SourceBlock::prepare(const EventContext& context, const TableEncoder& table)
{
    table_ = &table;
    commit_time_us_ = context.commit_time_us;
    xid_ = context.xid;
    last_commit_lsn_ = context.last_commit_lsn;
    snapshot_ = context.snapshot;

    before_ = table.source_head();
    append_number(before_, context.commit_time_us / 1000);
    before_ += R"(,"snapshot":")";
    before_ += context.snapshot;
    before_ += '"';
    before_ += table.source_db();
    // JSON text inside JSON: ["<last commit>","<lsn>"]
    before_ += R"("[)";
    if (context.last_commit_lsn) {
        before_ += R"(\")";
        append_number(before_, static_cast<std::int64_t>(context.last_commit_lsn->value));
        before_ += R"(\",)";
    } else {
        before_ += "null,";
    }
    before_ += R"(\")";

    between_ = R"(\"]","ts_us":)";
    append_number(between_, context.commit_time_us);
    between_ += R"(,"ts_ns":)";
    append_number(between_, context.commit_time_us * 1000);
    between_ += table.source_table();
    if (context.xid == 0) {
        between_ += "null";
    } else {
        append_number(between_, context.xid);
    }
    between_ += R"(,"lsn":)";
}

void SourceBlock::append(std::string& out, const EventContext& context, const TableEncoder& table)
{
    if (!fits(context, table)) {
        prepare(context, table);
    }
    out += before_;
    const std::size_t lsn = out.size();
    append_number(out, static_cast<std::int64_t>(context.lsn.value));
    const std::size_t digits = out.size() - lsn;
    out += between_;
    out.append(out, lsn, digits);
    out += R"(,"xmin":null})";
}

} // namespace keyshift::cdc

#include "resharder/steps/copy_pipe.hpp"

#include "core/backoff.hpp"
#include "core/failpoint.hpp"
#include "resharder/move_owner.hpp"

#include <algorithm>
#include <string_view>

namespace keyshift::resharder {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t kChunkBytes = 64U << 10U;
constexpr std::chrono::milliseconds kRateLook = 200ms; ///< how soon another rate is seen

std::string column_list(const MoveTable& table)
{
    std::string list;
    for (const MoveColumn& column : table.columns) {
        list += (list.empty() ? "" : ", ") + quote_identifier(column.name);
    }
    return list;
}

} // namespace

std::chrono::milliseconds CopyMeter::ahead()
{
    const auto now = std::chrono::steady_clock::now();
    const std::uint64_t rate = options_->now().max_copy_rate;
    const std::lock_guard lock(mutex_);
    if (rate != rate_) {
        rate_ = rate;
        bytes_at_rate_ = bytes_;
        begin_ = now;
    }
    if (rate_ == 0) {
        return 0ms;
    }
    const auto passed = static_cast<std::uint64_t>(bytes_ - bytes_at_rate_);
    return std::chrono::duration_cast<std::chrono::milliseconds>(
        begin_ + std::chrono::milliseconds(passed * 1000 / rate_) - now);
}

void CopyMeter::passed(std::int64_t rows, std::size_t bytes, std::stop_token stop)
{
    ahead(); // a rate that is new counts from before these bytes
    rows_ += rows;
    bytes_ += static_cast<std::int64_t>(bytes);
    while (held_ || (paused_ && paused_())) {
        if (!sleep_for(kRateLook, stop)) {
            return;
        }
    }
    for (auto left = ahead(); left > 0ms; left = ahead()) {
        if (!sleep_for(std::min(left, kRateLook), stop)) {
            return;
        }
    }
}

void make_staging(pg::Connection& recipient, const MoveTable& table)
{
    const std::string staging = table.staging.quoted();
    const std::string leaf = table.leaf.quoted();
    recipient.query("DROP TABLE IF EXISTS " + staging);
    recipient.query("CREATE TABLE " + staging + " (LIKE " + leaf +
                    " INCLUDING ALL EXCLUDING INDEXES EXCLUDING IDENTITY)");
    const auto rows =
        recipient.query("SELECT array_to_string(reloptions, ', ') FROM pg_class WHERE oid = $1::regclass", {leaf});
    if (!rows.is_null(0, 0) && !rows.text(0, 0).empty()) {
        recipient.query("ALTER TABLE " + staging + " SET (" + std::string(rows.text(0, 0)) + ")");
    }
    const auto grants = recipient.query(
        "SELECT format('GRANT %s ON TABLE %s TO %s%s', a.privilege_type, $2::text, "
        "CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END, "
        "CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END) "
        "FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a WHERE c.oid = $1::regclass AND a.grantee <> c.relowner",
        {leaf, staging});
    for (int row = 0; row < grants.rows(); ++row) {
        recipient.query(std::string(grants.text(row, 0)));
    }
}

void copy_table(pg::Connection& donor, pg::Connection& recipient, const BucketMove& move, const MoveTable& table,
                CopyMeter& meter, std::stop_token stop)
{
    // Binary needs the same server on both ends; text is read by any.
    const bool binary = donor.server_version() / 10000 == recipient.server_version() / 10000;
    const std::string format = binary ? "FORMAT binary" : "FORMAT text";
    const std::string columns = " (" + column_list(table) + ")";
    pg::Transaction transaction(recipient);
    recipient.query("TRUNCATE ONLY " + table.staging.quoted()); // FREEZE wants it in the same transaction
    recipient.copy_in_begin("COPY " + table.staging.quoted() + columns + " FROM STDIN WITH (" + format +
                            ", FREEZE true)");
    std::string chunk;
    std::int64_t rows = 0;
    const auto pass_on = [&] {
        recipient.copy_in_put(chunk);
        meter.passed(rows, chunk.size(), stop);
        if (stop.stop_requested()) { // nothing waits any more: the rest would come as fast as it can
            throw TransientError({"copying " + move.subject(), "the daemon or the job stops",
                                  "it begins again when they go on"});
        }
        chunk.clear();
        rows = 0;
    };
    const auto take = [&](std::string_view bytes) {
        chunk.append(bytes);
        ++rows;
        if (chunk.size() >= kChunkBytes) {
            failpoint("move.copy.chunk");
            pass_on();
        }
    };
    donor.copy_out("COPY " + table.leaf.quoted() + columns + " TO STDOUT WITH (" + format + ")", take, stop);
    if (binary && rows > 0) {
        --rows; // the trailer
    }
    pass_on();
    recipient.copy_in_end();
    // Last, since the row it locks is what a newer owner waits for.
    check_owner(recipient, move);
    transaction.commit();
}

} // namespace keyshift::resharder

#include "projections/commands/base_table.hpp"
#include "projections/projection_record.hpp"

#include "catalog/node_access.hpp"
#include "core/backoff.hpp"

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <map>
#include <set>

namespace keyshift::projections {

namespace {

using namespace std::chrono_literals;
using Json = nlohmann::json;

// Rows are compared slice by slice of their primary key's hash; only slices that differ are read row by row.
constexpr int kSlices = 256;

struct SliceSum {
    std::int64_t rows = 0;
    std::string hash = "0"; ///< a sum, as PostgreSQL prints the numeric
    bool operator==(const SliceSum&) const = default;
};
using Slices = std::map<int, SliceSum>;
/// Primary key and projection key as text -> hash of the row.
using RowHashes = std::map<std::string, std::string>;

class Comparison {
public:
    Comparison(pg::Connection& catalog, const ProjectionRecord& record)
        : catalog_(catalog), definition_(record.definition), table_(base()),
          nodes_(catalog::open_nodes(catalog, "projection verify"))
    {
    }

    std::int64_t rows() const { return rows_; }

    /// Rows that differ: key -> hash by the definition ("" : missing there) and hash in the projection.
    std::map<std::string, std::pair<std::string, std::string>> differences()
    {
        const Slices wanted = sums(true);
        const Slices found = sums(false);
        std::set<int> suspicious;
        rows_ = 0;
        for (int slice = 0; slice < kSlices; ++slice) {
            const auto a = wanted.contains(slice) ? wanted.at(slice) : SliceSum();
            const auto b = found.contains(slice) ? found.at(slice) : SliceSum();
            rows_ += b.rows;
            if (!(a == b)) {
                suspicious.insert(slice);
            }
        }
        return compare_rows(suspicious);
    }

private:
    catalog::CapturedTable base()
    {
        for (catalog::CapturedTable& table : catalog::tables(catalog_)) {
            if (table.name == definition_.base) {
                return table;
            }
        }
        throw RefusedError({"verifying projection " + definition_.name,
                            "table " + definition_.base.to_string() + " is not captured any more",
                            "Drop the projection."});
    }

    /// Leaves of buckets that are open on this node; a frozen copy on a donor does not count.
    static std::string open_only(const std::string& group, const QualifiedName& root)
    {
        return fmt::format(
            "tableoid IN (SELECT to_regclass(quote_ident({}) || '.' || quote_ident({} || '_b' || b.bucket)) FROM keyshift.local_bucket b "
            "WHERE b.group_name = {} AND b.state = 'open')",
            quote_literal(root.schema), quote_literal(root.name), quote_literal(group));
    }

    std::string row_text(const std::string& from) const
    {
        std::string values;
        for (const ProjectedColumn& column : definition_.columns) {
            values += (values.empty() ? "" : ", ") + from + "." + quote_identifier(column.name);
        }
        return "hashtextextended(ROW(" + values + ")::text, 0)";
    }

    /// (pk text, row hash) of every row, by the definition or as it is in the projection.
    std::string row_query(bool by_definition) const
    {
        std::string keys;
        std::string list = definition_.select_list;
        if (by_definition) {
            for (std::size_t at = 0; at < definition_.pk.size(); ++at) {
                list += fmt::format(", {}.{} AS \"_ks_pk{}\"", quote_identifier(definition_.alias),
                                    quote_identifier(definition_.pk[at]), at);
                keys += fmt::format("{}q.\"_ks_pk{}\"", at == 0 ? "" : ", ", at);
            }
            const std::string only = table_.group.empty() ? "true" : open_only(table_.group, definition_.base);
            const std::string where = definition_.condition.empty() ? "" : " WHERE " + definition_.condition;
            return fmt::format(
                "SELECT ROW({})::text AS pk, {} AS hash FROM (SELECT {} FROM (SELECT * FROM {} WHERE {}) AS {}{}) q",
                keys, row_text("q"), list, definition_.base.quoted(), only, quote_identifier(definition_.alias), where);
        }
        for (const std::string& name : definition_.pk_names) {
            keys += (keys.empty() ? "q." : ", q.") + quote_identifier(name);
        }
        return fmt::format("SELECT ROW({})::text AS pk, {} AS hash FROM {} q WHERE _live AND {}", keys, row_text("q"),
                           definition_.table().quoted(), open_only(definition_.name, definition_.table()));
    }

    Slices sums(bool by_definition)
    {
        Slices slices;
        const std::string query = fmt::format(
            "SELECT s, count(*), sum(hash::numeric)::text FROM (SELECT (hashtextextended(pk, 1) & {}) AS s, hash FROM ({}) r) x GROUP BY s",
            kSlices - 1, row_query(by_definition));
        for (catalog::OpenNode& node : nodes_) {
            if (by_definition && table_.group.empty() && node.node.name != table_.node) {
                continue;
            }
            const pg::Result rows = node.connection->query(query);
            for (int row = 0; row < rows.rows(); ++row) {
                SliceSum& slice = slices[static_cast<int>(rows.integer(row, 0))];
                slice.rows += rows.integer(row, 1);
                slice.hash =
                    node.connection->query("SELECT ($1::numeric + $2::numeric)::text", {slice.hash, rows.text(row, 2)})
                        .text(0, 0);
            }
        }
        return slices;
    }

    RowHashes hashes(bool by_definition, const std::set<int>& slices)
    {
        std::string list;
        for (const int slice : slices) {
            list += (list.empty() ? "" : ", ") + std::to_string(slice);
        }
        RowHashes found;
        for (catalog::OpenNode& node : nodes_) {
            if (by_definition && table_.group.empty() && node.node.name != table_.node) {
                continue;
            }
            const pg::Result rows = node.connection->query(
                fmt::format("SELECT pk, hash FROM ({}) r WHERE (hashtextextended(pk, 1) & {}) IN ({})",
                            row_query(by_definition), kSlices - 1, list));
            for (int row = 0; row < rows.rows(); ++row) {
                // A primary key that stands twice is a difference too.
                found[std::string(rows.text(row, 0))] += std::string(rows.text(row, 1)) + " ";
            }
        }
        return found;
    }

    std::map<std::string, std::pair<std::string, std::string>> compare_rows(const std::set<int>& slices)
    {
        std::map<std::string, std::pair<std::string, std::string>> different;
        if (slices.empty()) {
            return different;
        }
        const RowHashes wanted = hashes(true, slices);
        const RowHashes found = hashes(false, slices);
        for (const auto& [key, hash] : wanted) {
            const auto there = found.find(key);
            if (there == found.end() || there->second != hash) {
                different[key] = {hash, there == found.end() ? "" : there->second};
            }
        }
        for (const auto& [key, hash] : found) {
            if (!wanted.contains(key)) {
                different[key] = {"", hash};
            }
        }
        return different;
    }

    pg::Connection& catalog_;
    const Definition& definition_;
    catalog::CapturedTable table_;
    std::vector<catalog::OpenNode> nodes_;
    std::int64_t rows_ = 0;
};

/// Each row that differs, by the text of its primary key.
using Differences = std::map<std::string, std::pair<std::string, std::string>>;

/// Waits until what the base tables hold now has gone through Kafka and the projection's runner. False: nobody moves it on
/// (no daemon, paused, a node or the broker away), or stop.
bool wait_until_passed(pg::Connection& catalog, const std::string& name, std::stop_token stop)
{
    constexpr auto kMost = 20s;
    constexpr auto kPause = 100ms;
    const auto begin = std::chrono::steady_clock::now();
    std::map<std::string, std::string> wanted;
    for (catalog::OpenNode& node : catalog::open_nodes(catalog, "projection verify")) {
        wanted[node.node.name] = node.connection->query("SELECT pg_current_wal_insert_lsn()::text").text(0, 0);
    }
    for (const auto& [node, lsn] : wanted) {
        while (catalog
                   .query("SELECT FROM keyshift.stream_status WHERE node = $1 AND confirmed_lsn >= $2::pg_lsn",
                          {node, lsn})
                   .rows() == 0) {
            if (std::chrono::steady_clock::now() - begin > kMost || !sleep_for(kPause, stop)) {
                return false;
            }
        }
    }
    // The runner writes its lag twice a second; zero: it stood at the topic's end when it looked. Its next look but one began
    // after all of the above.
    std::set<std::string> looks;
    const auto in_kafka = std::chrono::steady_clock::now();
    while (true) {
        const pg::Result row = catalog.query(
            "SELECT xmin::text, coalesce(lag_seconds, 1e9) FROM keyshift.projection WHERE name = $1 AND state IN ('building', 'live')",
            {name});
        if (row.rows() == 0) {
            return false;
        }
        looks.insert(std::string(row.text(0, 0)));
        const double since = std::chrono::duration<double>(std::chrono::steady_clock::now() - in_kafka).count();
        // Under steady writes it never stands at the end: then it must have applied what came to Kafka well after.
        if (looks.size() > 2 && (row.real(0, 1) == 0 || since > row.real(0, 1) + 2)) {
            return true;
        }
        if (std::chrono::steady_clock::now() - begin > kMost || !sleep_for(kPause, stop)) {
            return false;
        }
    }
}

/// What differs in both, the later look's hashes.
Differences in_both(const Differences& earlier, const Differences& later)
{
    Differences both;
    for (const auto& [key, hashes] : later) {
        if (earlier.contains(key)) {
            both[key] = hashes;
        }
    }
    return both;
}

/// Those whose base row stayed the same between two looks. With the runner having passed in between, no row in flight
/// differs like that.
Differences settled(const Differences& earlier, const Differences& later)
{
    Differences same;
    for (const auto& [key, hashes] : later) {
        if (earlier.at(key).first == hashes.first) {
            same[key] = hashes;
        }
    }
    return same;
}

Differences lasting_differences(pg::Connection& catalog, Comparison& comparison, const std::string& name,
                                std::stop_token stop)
{
    constexpr int kMostLooks = 20;
    constexpr int kStableLooks = 6; // where nobody moves the projection on: what stays the same for a while
    constexpr auto kPause = 500ms;
    Differences different = comparison.differences();
    Differences lasting = different;
    for (int look = 0, stable = 0; look < kMostLooks && stable < kStableLooks && !different.empty(); ++look) {
        const bool passed = wait_until_passed(catalog, name, stop);
        if (!passed && !sleep_for(kPause, stop)) {
            break;
        }
        Differences still = in_both(different, comparison.differences());
        lasting = settled(different, still);
        if (passed && lasting.size() == still.size()) {
            break;
        }
        stable = !passed && still == different ? stable + 1 : 0;
        different = std::move(still);
    }
    return different.empty() ? different : lasting;
}

} // namespace

Json verify(pg::Connection& catalog, const std::string& name, std::stop_token stop)
{
    const ProjectionRecord record = read_projection(catalog, name);
    Comparison comparison(catalog, record);
    const Differences different = lasting_differences(catalog, comparison, name, stop);
    Json examples = Json::array();
    std::int64_t missing = 0;
    std::int64_t extra = 0;
    for (const auto& [key, hashes] : different) {
        const char* kind = hashes.second.empty() ? "missing" : hashes.first.empty() ? "extra" : "different";
        missing += hashes.second.empty() ? 1 : 0;
        extra += hashes.first.empty() ? 1 : 0;
        if (examples.size() < 20) {
            examples.push_back({{"primary_key", key}, {"kind", kind}});
        }
    }
    return {{"name", name},
            {"rows", comparison.rows()},
            {"missing", missing},
            {"extra", extra},
            {"different", static_cast<std::int64_t>(different.size()) - missing - extra},
            {"examples", examples}};
}

} // namespace keyshift::projections

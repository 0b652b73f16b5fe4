#include "projections/commands/comparison.hpp"

#include "core/backoff.hpp"
#include "core/json.hpp"

#include <fmt/core.h>

#include <chrono>

namespace keyshift::projections {

using namespace std::chrono_literals;
using Json = nlohmann::json;

namespace {

// Rows are compared slice by slice of their primary key's hash; only slices that differ are read row by row.
constexpr int kSlices = 256;

} // namespace

catalog::CapturedTable base_table(pg::Connection& catalog, const Definition& definition, const std::string& doing)
{
    for (catalog::CapturedTable& table : catalog::tables(catalog)) {
        if (table.name == definition.base) {
            return table;
        }
    }
    throw RefusedError({doing + " projection " + definition.name,
                        "table " + definition.base.to_string() + " is not captured any more", "Drop the projection."});
}

std::string row_hash(const Definition& definition, const std::string& from)
{
    std::string values;
    for (const ProjectedColumn& column : definition.columns) {
        // Events carry a numeric of any scale without its trailing zeros: the same number.
        const char* shape = column.type == "numeric" ? "trim_scale({}.{})" : "{}.{}";
        values += (values.empty() ? "" : ", ") + fmt::format(fmt::runtime(shape), from, quote_identifier(column.name));
    }
    return "hashtextextended(ROW(" + values + ")::text, 0)";
}

std::string open_only(const std::string& group, const QualifiedName& root)
{
    return fmt::format(
        "tableoid IN (SELECT to_regclass(quote_ident({}) || '.' || quote_ident({} || '_b' || b.bucket)) FROM keyshift.local_bucket b "
        "WHERE b.group_name = {} AND b.state = 'open')",
        quote_literal(root.schema), quote_literal(root.name), quote_literal(group));
}

std::string row_key_expression(const std::vector<std::string>& columns)
{
    std::string list;
    for (const std::string& column : columns) {
        list += (list.empty() ? "" : ", ") + column + "::text";
    }
    return "json_build_array(" + list + ")::text";
}

std::vector<std::string> copies_of(pg::Connection& catalog, const Definition& definition)
{
    if (!definition.everywhere) {
        return {""};
    }
    std::vector<std::string> copies;
    for (const catalog::Node& node : catalog::nodes(catalog)) {
        if (node.state == "active" || node.state == "draining") {
            copies.push_back(node.name);
        }
    }
    return copies;
}

Comparison::Comparison(pg::Connection& catalog, const ProjectionRecord& record, const std::string& copy)
    : catalog_(catalog), definition_(record.definition), copy_(copy), id_(record.id),
      table_(base_table(catalog, definition_, "verifying")), nodes_(catalog::open_nodes(catalog, "projection verify"))
{
}

/// Of the projection's table, on a node that is asked.
std::string Comparison::own_rows() const
{
    return definition_.everywhere ? "true" : open_only(definition_.group, definition_.table());
}

bool Comparison::holds_rows(const catalog::Node& node, bool by_definition) const
{
    return by_definition ? !table_.group.empty() || node.name == table_.node : copy_.empty() || node.name == copy_;
}

/// (pk, row hash) of every row, by the definition or as it is in the projection.
std::string Comparison::row_query(bool by_definition) const
{
    std::vector<std::string> keys;
    if (!by_definition) {
        for (const std::string& name : definition_.pk_names) {
            keys.push_back("q." + quote_identifier(name));
        }
        return fmt::format("SELECT {} AS pk, {} AS hash FROM {} q WHERE _live AND {}{}", row_key_expression(keys),
                           row_hash(definition_, "q"), definition_.table().quoted(), own_rows(),
                           without_rejected(keys));
    }
    std::string list = definition_.select_list;
    for (std::size_t at = 0; at < definition_.pk.size(); ++at) {
        list += fmt::format(", {}.{} AS \"_ks_pk{}\"", quote_identifier(definition_.alias),
                            quote_identifier(definition_.pk[at]), at);
        keys.push_back(fmt::format("q.\"_ks_pk{}\"", at));
    }
    std::vector<std::string> primary;
    for (const std::string& name : definition_.pk) {
        primary.push_back(quote_identifier(name));
    }
    const std::string only =
        (table_.group.empty() ? "true" : open_only(table_.group, definition_.base)) + without_rejected(primary);
    const std::string where = definition_.condition.empty() ? "" : " WHERE " + definition_.condition;
    return fmt::format("SELECT {} AS pk, {} AS hash FROM (SELECT {} FROM (SELECT * FROM {} WHERE {}) AS {}{}) q",
                       row_key_expression(keys), row_hash(definition_, "q"), list, definition_.base.quoted(), only,
                       quote_identifier(definition_.alias), where);
}

std::string Comparison::without_rejected(const std::vector<std::string>& primary_key) const
{
    return rejected_.empty() ? ""
                             : fmt::format(" AND {} NOT IN (SELECT jsonb_array_elements_text({}::jsonb))",
                                           row_key_expression(primary_key), quote_literal(Json(rejected_).dump()));
}

void Comparison::read_rejected()
{
    const pg::Result rows = catalog_.query(
        "SELECT DISTINCT row_key::jsonb::text FROM keyshift.rejection WHERE projection = $1 AND row_key <> ''",
        {definition_.name});
    rejected_.clear();
    for (int row = 0; row < rows.rows(); ++row) {
        rejected_.emplace_back(rows.text(row, 0));
    }
}

Comparison::Slices Comparison::sums(bool by_definition)
{
    Slices slices;
    const std::string query = fmt::format(
        "SELECT s, count(*), sum(hash::numeric)::text FROM (SELECT (hashtextextended(pk, 1) & {}) AS s, hash FROM ({}) r) x GROUP BY s",
        kSlices - 1, row_query(by_definition));
    for (catalog::OpenNode& node : nodes_) {
        if (!holds_rows(node.node, by_definition)) {
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

Comparison::RowHashes Comparison::hashes(bool by_definition, const std::set<int>& slices)
{
    std::string list;
    for (const int slice : slices) {
        list += (list.empty() ? "" : ", ") + std::to_string(slice);
    }
    RowHashes found;
    for (catalog::OpenNode& node : nodes_) {
        if (!holds_rows(node.node, by_definition)) {
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

Differences Comparison::compare_rows(const std::set<int>& slices)
{
    Differences different;
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

Differences Comparison::differences()
{
    read_rejected();
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

Registers Comparison::registers(const std::vector<RowKey>& rows)
{
    std::vector<std::string> primary;
    std::vector<std::string> key;
    for (const std::string& name : definition_.pk_names) {
        primary.push_back("q." + quote_identifier(name));
    }
    for (const std::string& name : definition_.key) {
        key.push_back("q." + quote_identifier(name));
    }
    const std::string query =
        fmt::format("SELECT {0}, {1}, _epoch, _lsn, _seq, _live, {2} FROM {3} q WHERE {4} AND {0} IN "
                    "(SELECT jsonb_array_elements_text($1::jsonb))",
                    row_key_expression(primary), row_key_expression(key), row_hash(definition_, "q"),
                    definition_.table().quoted(), own_rows());
    const std::string wanted = Json(rows).dump();
    Registers found;
    for (catalog::OpenNode& node : nodes_) {
        if (!holds_rows(node.node, false)) {
            continue;
        }
        const pg::Result held = node.connection->query(query, {wanted});
        for (int row = 0; row < held.rows(); ++row) {
            const SourcePosition version{Epoch{static_cast<std::uint64_t>(held.integer(row, 2))},
                                         Lsn{static_cast<std::uint64_t>(held.integer(row, 3))},
                                         static_cast<std::uint64_t>(held.integer(row, 4))};
            found.emplace(held.text(row, 0), Register{Json::parse(held.text(row, 1)).get<std::vector<std::string>>(),
                                                      version, held.boolean(row, 5), std::string(held.text(row, 6))});
        }
    }
    return found;
}

bool Comparison::is_shown(const std::map<std::string, std::string>& wanted)
{
    const std::string lsns = Json(wanted).dump();
    for (catalog::OpenNode& node : nodes_) {
        const pg::Result behind = node.connection->query(
            "SELECT count(*) FROM jsonb_each_text($3) w WHERE NOT EXISTS (SELECT FROM keyshift.projection_source s "
            "WHERE s.projection = $1 AND s.generation = $2 AND s.node = w.key AND s.lsn >= w.value::pg_lsn)",
            {definition_.name, std::to_string(definition_.generation), lsns});
        if (behind.integer(0, 0) > 0) {
            return false;
        }
    }
    return true;
}

bool Comparison::wait_until_shown(std::stop_token stop)
{
    constexpr auto kMost = 30s;
    constexpr auto kPause = 50ms;
    std::map<std::string, std::string> wanted;
    for (catalog::OpenNode& node : nodes_) {
        if (!table_.group.empty() || node.node.name == table_.node) {
            wanted[node.node.name] = node.connection->query("SELECT pg_current_wal_insert_lsn()::text").text(0, 0);
        }
    }
    const auto begin = std::chrono::steady_clock::now();
    while (!is_shown(wanted)) {
        const bool runs =
            catalog_
                .query(
                    "SELECT FROM keyshift.projection WHERE id = $1 AND state IN ('building', 'live') AND wanted = 'run'",
                    {std::to_string(id_)})
                .rows() == 1;
        if (!runs || std::chrono::steady_clock::now() - begin > kMost || !sleep_for(kPause, stop)) {
            return false;
        }
    }
    return true;
}

} // namespace keyshift::projections

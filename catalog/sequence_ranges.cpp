#include "catalog/sequence_ranges.hpp"

#include <fmt/format.h>

#include <optional>

namespace keyshift::catalog {

namespace {

constexpr std::int64_t kWidth = std::int64_t{1} << 43U;
constexpr std::int64_t kIntegerWidth = std::int64_t{1} << 27U;

struct Sequence {
    QualifiedName name;
    std::string type;
    std::int64_t last = 0;
    bool ascending = true;
    bool cycles = false;
};

std::vector<Sequence> sequences_of(pg::Connection& node, const QualifiedName& table)
{
    const pg::Result rows = node.query(
        "SELECT n.nspname, c.relname, format_type(s.seqtypid, NULL), s.seqincrement > 0, s.seqcycle, "
        "coalesce(pg_sequence_last_value(c.oid), s.seqstart) FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid "
        "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid IN ("
        "  SELECT d.refobjid FROM pg_depend d JOIN pg_attrdef a ON d.classid = 'pg_attrdef'::regclass AND d.objid = a.oid "
        "  WHERE a.adrelid = $1::regclass AND d.refclassid = 'pg_class'::regclass "
        "  UNION SELECT d.objid FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass "
        "  AND d.refobjid = $1::regclass AND d.deptype IN ('a', 'i')) ORDER BY 1, 2",
        {table.quoted()});
    std::vector<Sequence> sequences;
    for (int row = 0; row < rows.rows(); ++row) {
        sequences.push_back({{std::string(rows.text(row, 0)), std::string(rows.text(row, 1))},
                             std::string(rows.text(row, 2)),
                             rows.integer(row, 5),
                             rows.boolean(row, 3),
                             rows.boolean(row, 4)});
    }
    return sequences;
}

std::optional<std::string> objection(const Sequence& sequence)
{
    if (sequence.type == "smallint") {
        return "a smallint has too few numbers to divide";
    }
    if (!sequence.ascending || sequence.last < 0) {
        return "it counts downwards or below zero";
    }
    if (sequence.cycles) {
        return "it begins again at its end (CYCLE)";
    }
    return std::nullopt;
}

} // namespace

std::int64_t node_number(pg::Connection& catalog, const std::string& node)
{
    return catalog.query("SELECT number FROM keyshift.node WHERE name = $1", {node}).integer(0, 0);
}

std::vector<SequenceRange> plan_ranges(pg::Connection& catalog, pg::Connection& node, const Node& home,
                                       const QualifiedName& table, std::vector<std::string>& warnings)
{
    for (const Sequence& sequence : sequences_of(node, table)) {
        if (const auto why = objection(sequence)) {
            warnings.push_back(
                fmt::format("sequence {} of {} stays as it is on every node, and they may hand out the same "
                            "numbers: {}",
                            sequence.name.to_string(), table.to_string(), *why));
            continue;
        }
        const std::int64_t width = sequence.type == "integer" ? kIntegerWidth : kWidth;
        catalog.query("INSERT INTO keyshift.sequence_range (schema_name, sequence_name, width, first_block, home) "
                      "VALUES ($1, $2, $3::bigint, $4::bigint, $5::bigint) ON CONFLICT DO NOTHING",
                      {sequence.name.schema, sequence.name.name, std::to_string(width),
                       std::to_string(sequence.last / width), std::to_string(node_number(catalog, home.name))});
    }
    return read_ranges(catalog);
}

std::vector<SequenceRange> read_ranges(pg::Connection& catalog)
{
    const pg::Result rows = catalog.query(
        "SELECT schema_name, sequence_name, width, first_block, home FROM keyshift.sequence_range ORDER BY 1, 2");
    std::vector<SequenceRange> ranges;
    for (int row = 0; row < rows.rows(); ++row) {
        ranges.push_back({{std::string(rows.text(row, 0)), std::string(rows.text(row, 1))},
                          rows.integer(row, 2),
                          rows.integer(row, 3),
                          rows.integer(row, 4)});
    }
    return ranges;
}

std::vector<std::string> set_ranges(pg::Connection& node, std::int64_t number, const std::vector<SequenceRange>& ranges)
{
    std::vector<std::string> warnings;
    for (const SequenceRange& range : ranges) {
        // The home first, then the nodes by number.
        const std::int64_t rank = number == range.home ? 0 : number + (number < range.home ? 1 : 0);
        const std::int64_t low = (range.first_block + rank) * range.width + (rank == 0 ? 0 : 1);
        const std::int64_t high = (range.first_block + rank + 1) * range.width - 1;
        const pg::Result row = node.query(
            "SELECT seqmin, seqmax, CASE seqtypid WHEN 'integer'::regtype THEN 2147483647 ELSE 9223372036854775807 END "
            "FROM pg_sequence WHERE seqrelid = to_regclass($1)",
            {range.sequence.quoted()});
        if (row.rows() == 0 || row.integer(0, 1) == high) {
            continue;
        }
        if (high > row.integer(0, 2)) {
            warnings.push_back(fmt::format("sequence {} on {} has no range left for this node: give it one by hand",
                                           range.sequence.to_string(), node.name()));
        } else if (rank == 0) {
            node.script(fmt::format("ALTER SEQUENCE {} MAXVALUE {}", range.sequence.quoted(), high));
        } else {
            node.script(fmt::format("ALTER SEQUENCE {} MINVALUE {} MAXVALUE {} START WITH {} RESTART WITH {}",
                                    range.sequence.quoted(), low, high, low, low));
        }
    }
    return warnings;
}

} // namespace keyshift::catalog

#include "catalog/catalog.hpp"

#include "catalog/option_json.hpp"
#include "catalog/rows.hpp"
#include "core/error.hpp"

#include <fmt/format.h>

#include <charconv>

namespace keyshift::catalog {

namespace {

constexpr std::size_t kNameLimit = 63; ///< NAMEDATALEN - 1

std::string optional_or_empty(const pg::Result& rows, int row, int column)
{
    return rows.optional_text(row, column).value_or("");
}

std::vector<std::string> column_texts(const pg::Result& rows)
{
    std::vector<std::string> texts;
    for (int row = 0; row < rows.rows(); ++row) {
        texts.emplace_back(rows.text(row, 0));
    }
    return texts;
}

[[noreturn]] void refuse_unknown(pg::Connection& catalog, const std::string& kind, std::string_view name,
                                 const std::string& list)
{
    const std::string known = join(column_texts(catalog.query(list)));
    throw RefusedError({fmt::format("{} {}", kind, name), fmt::format("there is no such {}", kind),
                        known.empty() ? fmt::format("There is no {} yet.", kind) : "Known: " + known + "."});
}

Node read_node(const pg::Result& rows, int row)
{
    Node node;
    node.name = rows.text(row, 0);
    node.dsn = rows.text(row, 1);
    node.password_file = rows.text(row, 2);
    node.address = {std::string(rows.text(row, 3)), static_cast<int>(rows.integer(row, 4)),
                    std::string(rows.text(row, 5))};
    node.system_identifier = rows.text(row, 6);
    node.timeline = static_cast<std::uint32_t>(rows.integer(row, 7));
    node.slot = rows.text(row, 8);
    node.state = rows.text(row, 9);
    node.capture_paused = rows.boolean(row, 10);
    return node;
}
constexpr const char* kSelectNode =
    "SELECT name, dsn, password_file, host, port, dbname, system_identifier, timeline, slot, state, capture_paused "
    "FROM keyshift.node";

Group read_group(const pg::Result& rows, int row)
{
    std::vector<std::uint32_t> made_by_splits;
    for (const std::string& bucket : read_array(rows.text(row, 4))) {
        made_by_splits.push_back(static_cast<std::uint32_t>(std::stoul(bucket)));
    }
    return {std::string(rows.text(row, 0)),
            BucketLayout(static_cast<std::uint32_t>(rows.integer(row, 1)), made_by_splits),
            read_array(rows.text(row, 2)), rows.text(row, 3) == "projection"};
}
constexpr const char* kSelectGroup =
    "SELECT name, buckets, key_types, kind, ARRAY(SELECT b.bucket FROM keyshift.bucket b "
    "WHERE b.group_name = g.name AND b.bucket >= g.buckets) FROM keyshift.table_group g";

std::vector<CapturedTable> read_tables(const pg::Result& rows)
{
    std::vector<CapturedTable> tables;
    for (int row = 0; row < rows.rows(); ++row) {
        CapturedTable table;
        table.id = rows.integer(row, 0);
        table.name = {std::string(rows.text(row, 1)), std::string(rows.text(row, 2))};
        table.group = optional_or_empty(rows, row, 3);
        table.node = optional_or_empty(rows, row, 4);
        table.key_columns = read_array(rows.text(row, 5));
        table.captured = rows.boolean(row, 6);
        table.options = read_options(rows.text(row, 7));
        table.epoch = static_cast<Epoch>(rows.integer(row, 8));
        table.reference = rows.boolean(row, 9);
        table.strict = rows.boolean(row, 10);
        tables.push_back(std::move(table));
    }
    return tables;
}
constexpr const char* kSelectTable =
    "SELECT id, schema_name, table_name, group_name, node, key_columns, captured, options, epoch, reference, strict "
    "FROM keyshift.captured_table";

std::uint64_t fnv1a(std::string_view text)
{
    std::uint64_t hash = 14695981039346656037ULL;
    for (const char c : text) {
        hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
    }
    return hash;
}

} // namespace

pg::ConnectionSettings Node::connection(std::string purpose) const
{
    return {name, dsn, password_file, std::move(purpose)};
}

int readable_version(pg::Connection& catalog)
{
    if (!catalog.query("SELECT pg_catalog.to_regclass('keyshift.meta') IS NOT NULL").boolean(0, 0)) {
        throw RefusedError({"the catalog", "this database has no schema keyshift with a catalog in it",
                            "Run `keyshift init`, or correct [catalog] dsn."});
    }
    const std::string text = meta(catalog, "version");
    int version = 0;
    std::from_chars(text.data(), text.data() + text.size(), version);
    if (version > kCatalogVersion) {
        throw RefusedError({"the catalog",
                            fmt::format("it was written by a newer Keyshift (catalog version {}, this binary knows {})",
                                        text, kCatalogVersion),
                            "Use the newer binary."});
    }
    if (version <= 0) {
        throw RefusedError(
            {"the catalog", "it holds no version: `keyshift init` did not finish", "Run `keyshift init` again."});
    }
    return version;
}

void check_version(pg::Connection& catalog)
{
    const int version = readable_version(catalog);
    if (version < kCatalogVersion) {
        throw RefusedError(
            {"the catalog",
             fmt::format("it was written by an older Keyshift (catalog version {}, this binary works with {})", version,
                         kCatalogVersion),
             "Run `keyshift init`: it brings the catalog and the nodes up to date."});
    }
}

std::string meta(pg::Connection& catalog, std::string_view key)
{
    const pg::Result rows = catalog.query("SELECT value FROM keyshift.meta WHERE key = $1", {key});
    return rows.rows() == 0 ? std::string() : std::string(rows.text(0, 0));
}

std::vector<Node> nodes(pg::Connection& catalog)
{
    const pg::Result rows =
        catalog.query(fmt::format("{} WHERE state <> 'removed' ORDER BY added_at, name", kSelectNode));
    std::vector<Node> all;
    for (int row = 0; row < rows.rows(); ++row) {
        all.push_back(read_node(rows, row));
    }
    return all;
}

Node node(pg::Connection& catalog, std::string_view name)
{
    const pg::Result rows =
        catalog.query(fmt::format("{} WHERE state <> 'removed' AND name = $1", kSelectNode), {name});
    if (rows.rows() == 0) {
        refuse_unknown(catalog, "node", name, "SELECT name FROM keyshift.node WHERE state <> 'removed' ORDER BY name");
    }
    return read_node(rows, 0);
}

std::vector<Group> groups(pg::Connection& catalog)
{
    const pg::Result rows = catalog.query(fmt::format("{} ORDER BY name", kSelectGroup));
    std::vector<Group> all;
    for (int row = 0; row < rows.rows(); ++row) {
        all.push_back(read_group(rows, row));
    }
    return all;
}

Group group(pg::Connection& catalog, std::string_view name)
{
    const pg::Result rows = catalog.query(fmt::format("{} WHERE name = $1", kSelectGroup), {name});
    if (rows.rows() == 0) {
        refuse_unknown(catalog, "bucket group", name, "SELECT name FROM keyshift.table_group ORDER BY name");
    }
    return read_group(rows, 0);
}

std::vector<CapturedTable> tables(pg::Connection& catalog)
{
    return read_tables(catalog.query(fmt::format("{} ORDER BY id", kSelectTable)));
}

std::vector<CapturedTable> tables_of_group(pg::Connection& catalog, std::string_view group)
{
    return read_tables(catalog.query(fmt::format("{} WHERE group_name = $1 ORDER BY id", kSelectTable), {group}));
}

std::map<BucketId, Placement> placement(pg::Connection& catalog, std::string_view group)
{
    const pg::Result rows =
        catalog.query("SELECT bucket, node, epoch FROM keyshift.bucket WHERE group_name = $1", {group});
    std::map<BucketId, Placement> all;
    for (int row = 0; row < rows.rows(); ++row) {
        all[static_cast<BucketId>(rows.integer(row, 0))] = {std::string(rows.text(row, 1)),
                                                            static_cast<Epoch>(rows.integer(row, 2))};
    }
    return all;
}

std::vector<BucketHistory> history_of_node(pg::Connection& catalog, std::string_view node)
{
    const pg::Result rows =
        catalog.query("SELECT group_name, bucket, epoch, node, open_lsn, fence_lsn FROM keyshift.bucket_history "
                      "WHERE node = $1 ORDER BY group_name, bucket, epoch",
                      {node});
    std::vector<BucketHistory> all;
    for (int row = 0; row < rows.rows(); ++row) {
        BucketHistory entry;
        entry.group = rows.text(row, 0);
        entry.bucket = static_cast<BucketId>(rows.integer(row, 1));
        entry.epoch = static_cast<Epoch>(rows.integer(row, 2));
        entry.node = rows.text(row, 3);
        entry.open_lsn = rows.lsn(row, 4);
        if (!rows.is_null(row, 5)) {
            entry.fence_lsn = rows.lsn(row, 5);
        }
        all.push_back(std::move(entry));
    }
    return all;
}

void notify(pg::Connection& catalog, std::string_view what)
{
    catalog.query("SELECT pg_catalog.pg_notify($1, $2)", {kCatalogChannel, what});
}

QualifiedName leaf_name(const QualifiedName& root, BucketId bucket)
{
    const std::string suffix = fmt::format("_b{}", number(bucket));
    std::string stem = root.name;
    if (stem.size() + suffix.size() > kNameLimit) {
        const std::string hash = fmt::format("_{:08x}", fnv1a(stem) & 0xffffffffU);
        std::size_t length = kNameLimit - suffix.size() - hash.size();
        while (length > 0 && (static_cast<unsigned char>(stem[length]) & 0xC0U) == 0x80U) {
            --length; // never inside a UTF-8 character
        }
        stem = stem.substr(0, length) + hash;
    }
    return {root.schema, stem + suffix};
}

} // namespace keyshift::catalog

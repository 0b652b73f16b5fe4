#include "cdc/source/publication_check.hpp"

#include "core/json.hpp"
#include "core/names.hpp"

#include <fmt/core.h>

namespace keyshift::cdc {

namespace {

/// Per captured table that is there: 'missing' from the publication, or 'narrowed' by a row filter or a column list.
constexpr const char* kTables =
    "SELECT t.name, CASE WHEN r.prrelid IS NULL THEN 'missing' ELSE 'narrowed' END "
    "FROM pg_catalog.json_to_recordset($2::json) AS t(name text, filtered boolean) "
    "JOIN pg_catalog.pg_publication p ON p.pubname = $1 "
    "LEFT JOIN pg_catalog.pg_publication_rel r ON r.prpubid = p.oid AND r.prrelid = pg_catalog.to_regclass(t.name) "
    "JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(t.name) "
    "WHERE ((r.prrelid IS NULL AND NOT p.puballtables AND NOT EXISTS (SELECT FROM pg_catalog.pg_publication_namespace s "
    "WHERE s.pnpubid = p.oid AND s.pnnspid = c.relnamespace)) OR r.prattrs IS NOT NULL OR (r.prqual IS NOT NULL) > t.filtered) "
    "ORDER BY 2, 1";

std::string json_of(const std::vector<PublishedTable>& tables)
{
    nlohmann::json json = nlohmann::json::array();
    for (const PublishedTable& table : tables) {
        json.push_back({{"name", table.name}, {"filtered", table.filtered}});
    }
    return json.dump();
}

} // namespace

std::optional<PublicationFault> check_publication(pg::Connection& node, const std::string& publication,
                                                  const std::vector<PublishedTable>& tables)
{
    const std::string quoted = quote_identifier(publication);
    const pg::Result flags = node.query("SELECT pubviaroot, pubinsert AND pubupdate AND pubdelete AND pubtruncate "
                                        "FROM pg_catalog.pg_publication WHERE pubname = $1",
                                        {publication});
    if (flags.rows() == 0) {
        return PublicationFault{fmt::format("the publication {} does not exist any more", publication), {}};
    }
    if (flags.boolean(0, 0)) {
        return PublicationFault{fmt::format("the publication {} has publish_via_partition_root = true", publication),
                                fmt::format("ALTER PUBLICATION {} SET (publish_via_partition_root = false);", quoted)};
    }
    if (!flags.boolean(0, 1)) {
        return PublicationFault{
            fmt::format("the publication {} does not publish all of insert, update, delete and truncate any more",
                        publication),
            fmt::format("ALTER PUBLICATION {} SET (publish = 'insert, update, delete, truncate');", quoted)};
    }
    const pg::Result rows = node.query(kTables, {publication, json_of(tables)});
    if (rows.rows() == 0) {
        return std::nullopt;
    }
    const std::string name(rows.text(0, 0));
    const std::string others = rows.rows() == 1 ? "" : fmt::format(" (and {} more)", rows.rows() - 1);
    if (rows.text(0, 1) == "missing") {
        return PublicationFault{fmt::format("table {}{} is no longer in the publication {}", name, others, publication),
                                fmt::format("ALTER PUBLICATION {} ADD TABLE {};", quoted, name)};
    }
    return PublicationFault{
        fmt::format("the publication {} has a row filter or a column list for table {}{} that Keyshift did not ask for",
                    publication, name, others),
        fmt::format("ALTER PUBLICATION {0} DROP TABLE {1}; ALTER PUBLICATION {0} ADD TABLE {1};", quoted, name)};
}

} // namespace keyshift::cdc

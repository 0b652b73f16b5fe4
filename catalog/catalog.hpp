#pragma once
/// The catalog as C++ sees it: nodes, groups, tables, who owns what. Each call is one short statement or transaction on
/// the connection given. Schemas: catalog/sql/catalog.sql (catalog database) and catalog/sql/node.sql (every node).

#include "core/bucket_layout.hpp"
#include "core/capture_options.hpp"
#include "core/ids.hpp"
#include "core/lsn.hpp"
#include "core/names.hpp"
#include "core/pg/connection.hpp"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace keyshift::catalog {

inline constexpr int kCatalogVersion = 7;
/// NOTIFY channel in the catalog database: payload names what changed ("job", "node", "table", "projection").
inline constexpr std::string_view kCatalogChannel = "keyshift_catalog";
/// NOTIFY channel on every node and in the catalog: payload is {"group":..,"bucket":..,"node":..,"epoch":..}.
inline constexpr std::string_view kPlacementChannel = "keyshift_placement";

struct Node {
    std::string name;
    std::string dsn;
    std::string password_file;
    pg::Address address;
    std::string system_identifier;
    std::uint32_t timeline = 0;
    std::string slot; ///< also the publication's name
    std::string state;
    bool capture_paused = false; ///< no stream runs; the slot keeps the WAL

    pg::ConnectionSettings connection(std::string purpose) const;
};
struct Group {
    std::string name;
    BucketLayout buckets{64};
    std::vector<std::string> key_types; ///< format_type
    bool projection = false;
};
struct CapturedTable {
    std::int64_t id = 0;
    QualifiedName name;
    std::string group; ///< empty: not distributed
    std::string node;  ///< only when not distributed
    std::vector<std::string> key_columns;
    bool captured = true;
    CaptureOptions options;
    Epoch epoch{1};         ///< of its events while it is not distributed
    bool reference = false; ///< the other nodes have copies of it
    bool strict = false;    ///< distributed: sessions with an old map are refused
};
struct Placement {
    std::string node;
    Epoch epoch{};
};
struct BucketHistory {
    std::string group;
    BucketId bucket{};
    Epoch epoch{};
    std::string node;
    Lsn open_lsn;
    std::optional<Lsn> fence_lsn;
};

/// Throws Error(refused) when the catalog is missing or of an older version (says `keyshift init`), or of a newer one.
void check_version(pg::Connection& catalog);
/// The same for `init` itself, which brings an older one up to date. Returns its version.
int readable_version(pg::Connection& catalog);
std::string meta(pg::Connection& catalog, std::string_view key);

std::vector<Node> nodes(pg::Connection& catalog);
/// Throws Error(refused) naming the nodes there are.
Node node(pg::Connection& catalog, std::string_view name);
std::vector<Group> groups(pg::Connection& catalog);
Group group(pg::Connection& catalog, std::string_view name);
std::vector<CapturedTable> tables(pg::Connection& catalog);
std::vector<CapturedTable> tables_of_group(pg::Connection& catalog, std::string_view group);
std::map<BucketId, Placement> placement(pg::Connection& catalog, std::string_view group);
/// Rows of one node, all groups.
std::vector<BucketHistory> history_of_node(pg::Connection& catalog, std::string_view node);
void notify(pg::Connection& catalog, std::string_view what);

/// Name of the leaf of a bucket: "posts_b17". Truncated with a hash when longer than 63 bytes.
QualifiedName leaf_name(const QualifiedName& root, BucketId bucket);

} // namespace keyshift::catalog

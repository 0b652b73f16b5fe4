#pragma once
/// The commands that need no daemon: init, nodes, tables, doctor, route. Each checks everything before it touches
/// anything; a refusal is an Error with what, why and the next step.

#include "catalog/catalog.hpp"
#include "catalog/online_work.hpp"
#include "catalog/option_changes.hpp"

#include <nlohmann/json_fwd.hpp>

#include <optional>

#include <string>
#include <utility>
#include <vector>

namespace keyshift::catalog {

/// Idempotent. Makes schema, roles (keyshift_operator, keyshift_reader; where the role may) and the meta rows.
nlohmann::json init(pg::Connection& catalog, const std::string& cluster, const std::string& topic_prefix, bool dry_run);
/// Removes everything: slots, publications, triggers, functions, schemas, on all nodes or one. Tables stay, with the data they hold.
nlohmann::json deinit(pg::Connection& catalog, const std::optional<std::string>& node, bool dry_run);

struct AddNode {
    std::string name;
    std::string dsn;
    std::string password_file;
    bool dry_run = false;
};
/// Preflight (reachable, version, wal_level, free slots and senders, rights, empty where it must be), then schema keyshift,
/// functions, the distributed tables' schema (extensions, types, roots, leaves as placeholders), publication, slot, row.
nlohmann::json add_node(pg::Connection& catalog, const AddNode& request);
nlohmann::json list_nodes(pg::Connection& catalog);
nlohmann::json show_node(pg::Connection& catalog, const std::string& name);
/// Refused while it owns anything.
nlohmann::json remove_node(pg::Connection& catalog, const std::string& name, bool dry_run);

struct Distribute {
    std::string table;
    std::vector<std::string> key;
    std::uint32_t buckets = 64;
    std::string with;     ///< co-locate with this table; empty: a new group
    bool offline = false; ///< in one transaction, under a lock; else while the table is read and written
    bool dry_run = false;
    bool strict = false; ///< as set_strict()
};
/// Interrupted or failed before its end, it takes back what it made; killed, the next run does.
nlohmann::json distribute(pg::Connection& catalog, const Distribute& request, const OnlineWork& online = {});
/// The way back, while the table is read and written: a plain table on the one node that owns all of its buckets, captured
/// as before. Killed, the next run goes on.
nlohmann::json undistribute(pg::Connection& catalog, const std::string& table, bool dry_run,
                            const OnlineWork& online = {});
/// From now on sessions that go by an old map of the table's buckets, or name none, are refused on every node; or no longer.
nlohmann::json set_strict(pg::Connection& catalog, const std::string& table, bool strict, bool dry_run);
/// Of tables that are captured already only the options change. {"captured","options","notes","dry_run"}
nlohmann::json capture(pg::Connection& catalog, const std::vector<std::string>& tables, bool all,
                       const std::optional<std::string>& node, bool dry_run, const OptionChanges& changes = {});
/// Streams write to the topic from now on whatever number of partitions it has.
nlohmann::json accept_partitions(pg::Connection& catalog, const std::string& topic, bool dry_run);
struct SnapshotAgain {
    std::string table;
    std::string where;               ///< SQL condition on its rows; empty: all
    std::optional<std::string> node; ///< only what this node has
    bool dry_run = false;
};
/// Queues a captured table's rows to be read into its topic once more. Refused while its rows are being read or its buckets
/// are being moved. {"table","table_id","where","parts","nodes","dry_run"}
nlohmann::json snapshot_again(pg::Connection& catalog, const SnapshotAgain& request);
/// How far the newest snapshot of a captured table has come, in parts: {"done","failed","cancelled","total"}; in rows:
/// {"rows","estimate"}; {"error"} of a failed part
nlohmann::json snapshot_progress(pg::Connection& catalog, std::int64_t table_id);
/// The rows of a captured table that are not yet read into its topic are not read. {"table","parts","dry_run"}
nlohmann::json cancel_snapshot(pg::Connection& catalog, const SnapshotAgain& request);
/// Ends the streams of one node or of all until they are resumed; across restarts of the daemon. Refused while a reshard job
/// is under way, which needs them. [{"node","capture":"paused|running"}] of those that change.
nlohmann::json pause_capture(pg::Connection& catalog, const std::optional<std::string>& node, bool dry_run);
nlohmann::json resume_capture(pg::Connection& catalog, const std::optional<std::string>& node, bool dry_run);
/// After changes of a node were lost, or cannot be decoded: makes its slot anew and its publication complete, accepts what is
/// missing until then, and queues the rows of each of its tables to be read into the topics. Refused while the slot is read.
/// {"node","slot","tables","begins_at","dry_run"}
nlohmann::json recover_capture(pg::Connection& catalog, const std::string& node, bool dry_run);
nlohmann::json list_tables(pg::Connection& catalog);
nlohmann::json show_table(pg::Connection& catalog, const std::string& table);

/// One finding: {"check","object","severity","why","fix"}. `plan`: (table, key column) pairs; empty: the cluster as it is.
nlohmann::json doctor(pg::Connection& catalog, const std::vector<std::pair<std::string, std::string>>& plan);
/// docs/interface.md: `route`.
nlohmann::json route(pg::Connection& catalog, const std::string& table, const std::vector<std::string>& key);

/// Writes this catalog's placement of a group to every node's local_placement (those that are down are left to the daemon).
void spread_placement(pg::Connection& catalog, const std::string& group);

} // namespace keyshift::catalog

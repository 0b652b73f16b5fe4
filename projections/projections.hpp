#pragma once
/// Projections: topics -> tables keyed by something else (docs/architecture.md). ProjectionService runs in the daemon; the
/// functions are the commands, run by the command line against the catalog.

#include "core/pg/connection.hpp"

#include <nlohmann/json_fwd.hpp>

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace keyshift::metrics {
struct ProjectionMetrics;
}

namespace keyshift::projections {

/// How events carry values (the keys of [cdc]); some of these do not round-trip.
struct EventForms {
    std::string decimal = "precise";
    std::string time = "adaptive";
    std::string binary = "bytes";
};

struct ProjectionOptions {
    std::size_t batch_rows = 4000;
    std::chrono::milliseconds batch_delay{5};
    int workers = 3;                    ///< sessions that write a backfill
    std::int64_t max_backfill_rate = 0; ///< rows a second; 0: any
    /// With so many open ones a projection pauses.
    std::int64_t max_rejections = 1000;
    std::string topic_prefix;
    /// Of a topic that is made here because its table had no event yet.
    int partitions = 8;
    int replication_factor = 1;
    EventForms forms;
    std::map<std::string, std::string> kafka;
};

class ProjectionService {
public:
    ProjectionService(pg::ConnectionSettings catalog, ProjectionOptions options, metrics::ProjectionMetrics& metrics);
    ~ProjectionService();
    /// Runs every projection of the catalog until stop; one thread per projection. Transient faults retried inside.
    void run(std::stop_token stop);

private:
    struct State;
    std::unique_ptr<State> state_;
};

struct CreateRequest {
    std::string name;
    std::vector<std::string> key;
    std::string sql;
    std::uint32_t buckets = 64;
    bool apply = false; ///< also run the ALTERs that replica identity needs
    bool dry_run = false;
    bool skip_null = false;
    EventForms forms; ///< as in ProjectionOptions
};
/// Parses, classifies, checks, makes tables and view on every node and the catalog row (state building).
/// Throws Error(refused) with the caret under the place; the needed ALTERs stand in parts().next.
/// The plan (tables, columns, types, ALTERs), whether made or dry.
nlohmann::json create(pg::Connection& catalog, const CreateRequest& request);
nlohmann::json list(pg::Connection& catalog);
/// docs/interface.md: `projection show`.
nlohmann::json show(pg::Connection& catalog, const std::string& name);
/// docs/interface.md: `projection verify`; waits out rows in flight, no false alarm while writes go on.
nlohmann::json verify(pg::Connection& catalog, const std::string& name, std::stop_token stop);
/// docs/interface.md: `projection repair`. Writes what verify finds once more, from the base rows as they are, while writes
/// go on. "refused": rows that PostgreSQL does not take.
nlohmann::json repair(pg::Connection& catalog, const std::string& name, std::stop_token stop);
struct RebuildRequest {
    std::string name;
    std::string sql;               ///< another definition; empty: the same
    std::vector<std::string> key;  ///< empty: as it is
    std::int64_t keep_seconds = 0; ///< how long one may go back
    bool apply = false;
    bool dry_run = false;
    bool skip_null = false;
    EventForms forms;
};
/// Makes a new generation, which the daemon fills, verifies and lets take the place of the one that serves, which stays for a while,
/// kept up to date. The plan.
nlohmann::json rebuild(pg::Connection& catalog, const RebuildRequest& request);
/// The generation before, while it is kept, takes its place again, as at the end of a rebuild. The plan.
nlohmann::json rollback(pg::Connection& catalog, const std::string& name, bool dry_run);
/// The same definition, and no way back.
nlohmann::json rebuild(pg::Connection& catalog, const std::string& name, bool dry_run);
struct ExplainOptions {
    std::map<std::string, std::string> kafka;
    std::string topic_prefix;
    std::int64_t records = 100'000; ///< newest ones of each partition that are looked through
};
/// docs/interface.md: `projection explain`.
nlohmann::json explain(pg::Connection& catalog, const std::string& name, const std::vector<std::string>& key,
                       const ExplainOptions& options, std::stop_token stop);
void pause(pg::Connection& catalog, const std::string& name);
void resume(pg::Connection& catalog, const std::string& name);
/// Leaves nothing behind; restores the replica identity it changed.
void drop(pg::Connection& catalog, const std::string& name);

/// docs/interface.md: `rejections list`. Of one projection, or of all where it is empty.
nlohmann::json rejections(pg::Connection& catalog, const std::string& projection);
/// Throws Error(refused) when there is none of this number.
nlohmann::json rejection(pg::Connection& catalog, std::int64_t id);
/// Reads the stored event once more, as if it came now. {"id","outcome":"applied|stale|rejected","reason","detail"}: unless
/// it is rejected again it is gone from the list.
nlohmann::json retry_rejection(pg::Connection& catalog, std::int64_t id, std::stop_token stop);
void drop_rejection(pg::Connection& catalog, std::int64_t id);

} // namespace keyshift::projections

#pragma once
/// The projection's row in the catalog, as runner and commands read and write it.

#include "core/error.hpp"
#include "core/pg/connection.hpp"
#include "projections/definition.hpp"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace keyshift::projections {

struct ProjectionRecord {
    std::int64_t id = 0;
    Definition definition;
    std::string state;  ///< building, live, paused, failed, dropping
    std::string wanted; ///< run, pause, drop
    bool serving = true;
    bool kept = false; ///< it has been succeeded, and one may go back to it
    std::string sql;
    /// topic -> partition -> offset; empty: not yet recorded.
    std::map<std::string, std::map<std::int32_t, std::int64_t>> start_offsets;
    std::set<std::string> backfilled;   ///< buckets of the base table
    std::set<std::string> filled_nodes; ///< of a definition with `everywhere`
};

/// The generation that serves. Throws Error(refused) naming the projections there are.
ProjectionRecord read_projection(pg::Connection& catalog, const std::string& name);
/// Any generation. Throws Error(refused) when it was dropped.
ProjectionRecord read_projection(pg::Connection& catalog, std::int64_t id);
/// The generation that a rebuild makes.
std::optional<ProjectionRecord> read_successor(pg::Connection& catalog, const std::string& name);
/// The generation that one may go back to.
std::optional<ProjectionRecord> read_kept(pg::Connection& catalog, const std::string& name);
/// True: its time is over, and from now on it is to be removed.
bool expire_kept(pg::Connection& catalog, const std::string& name);
/// Those that were succeeded and are still to be removed.
std::vector<ProjectionRecord> succeeded_generations(pg::Connection& catalog, const std::string& name);
std::vector<Definition> all_generations(pg::Connection& catalog, const std::string& name);
/// Whether its buckets are being moved or wait for their grace period.
bool is_moving(pg::Connection& catalog, const std::string& name);
/// Definitions of the other projections of the same base table that are to stay.
std::vector<Definition> siblings(pg::Connection& catalog, const Definition& definition);
/// As users know them: without the members of others.
std::vector<std::string> projection_names(pg::Connection& catalog);
void set_state(pg::Connection& catalog, std::int64_t id, const std::string& state);
/// It pauses by itself, and says why until it is resumed.
void pause_with(pg::Connection& catalog, std::int64_t id, const ErrorParts& error);
/// It goes on by itself, and says what it waits for until then; nullopt: for nothing any more.
void wait_with(pg::Connection& catalog, std::int64_t id, const std::optional<ErrorParts>& error);
void set_error(pg::Connection& catalog, std::int64_t id, const ErrorParts& error);

} // namespace keyshift::projections

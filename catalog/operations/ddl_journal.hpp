#pragma once
/// What `keyshift ddl` has begun, kept in the catalog, and on each node a mark that commits together with the statement:
/// whoever comes after a command that was killed knows where it was done.

#include "catalog/ddl_statement.hpp"
#include "catalog/node_access.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace keyshift::catalog {

struct UnfinishedDdl {
    std::int64_t id = 0;
    std::string statement;
    bool waiting = false; ///< it had not begun on any node
};

class DdlJournal {
public:
    explicit DdlJournal(pg::Connection& catalog) : catalog_(catalog) {}

    std::optional<UnfinishedDdl> unfinished();
    /// From here on no move of the groups begins to copy while this session lives.
    std::int64_t wait(const std::string& statement, const std::vector<std::string>& groups);
    /// False, and nothing is changed, while a move of the groups is between copying and switched.
    bool begin(std::int64_t id);
    /// What is in the way, for people: "move 7 (bucket 17 of users): catching_up"; "": nothing.
    std::string in_the_way(std::int64_t id);
    /// `state`: done or undone. The marks go too.
    void end(std::int64_t id, const std::string& state, std::vector<OpenNode>& nodes);

private:
    pg::Connection& catalog_;
};

/// The table of marks; nodes of before this verb lack it.
void make_mark_table(pg::Connection& node);
/// In the transaction of the statement.
void mark(pg::Connection& node, std::int64_t id);
bool is_marked(pg::Connection& node, std::int64_t id);

} // namespace keyshift::catalog

#include "catalog/operations/ddl.hpp"

#include "catalog/operations/ddl_everywhere.hpp"
#include "catalog/operations/ddl_journal.hpp"
#include "catalog/operations/ddl_target.hpp"
#include "catalog/rows.hpp"
#include "catalog/split/split_record.hpp"
#include "core/backoff.hpp"
#include "core/error.hpp"
#include "core/failpoint.hpp"
#include "core/json.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace keyshift::catalog {

namespace {

using namespace std::chrono_literals;
using Kind = DdlStatement::Kind;

class Run {
public:
    Run(pg::Connection& catalog, const Ddl& request)
        : catalog_(catalog), request_(request), journal_(catalog), nodes_(open_nodes(catalog, "ddl")),
          began_(std::chrono::steady_clock::now())
    {
    }

    /// What a command before this one left; null: nothing.
    nlohmann::json finish()
    {
        const auto left = journal_.unfinished();
        if (!left) {
            return nullptr;
        }
        const auto having = marked(left->id);
        if (request_.dry_run) {
            return answer(left->statement, having, "unfinished");
        }
        statement_ = read_ddl(left->statement);
        if (left->waiting || (having.empty() && statement_.kind != Kind::create_index)) {
            journal_.end(left->id, "undone", nodes_);
            return answer(left->statement, {}, "taken back: no node had it");
        }
        if (statement_.kind == Kind::truncate && !request_.finish) {
            throw RefusedError({fmt::format("keyshift ddl: statement {}, {}", left->id, left->statement),
                                fmt::format("it was interrupted: done on {}, not on the other nodes", join(having)),
                                "Finish it, which empties the others too: `keyshift ddl --finish`."});
        }
        target_ = check_names(statement_);
        build_at_once_where_plain();
        carry_out(left->id);
        return answer(left->statement, names(),
                      fmt::format("finished; before: {}", having.empty() ? "no node" : join(having)));
    }

    nlohmann::json begin()
    {
        statement_ = read_ddl(request_.statement);
        target_ = check_ddl(catalog_, nodes_, statement_);
        build_at_once_where_plain();
        if (request_.dry_run) {
            return answer(statement_.text, names(), "dry run");
        }
        for (OpenNode& node : nodes_) {
            make_mark_table(*node.connection);
        }
        const std::int64_t id = journal_.wait(statement_.text, target_.groups);
        wait_for_moves(id);
        failpoint("ddl.begun");
        carry_out(id);
        return answer(statement_.text, names(), "done");
    }

private:
    std::vector<std::string> names() const
    {
        std::vector<std::string> all;
        for (const OpenNode& node : nodes_) {
            all.push_back(node.node.name);
        }
        return all;
    }

    std::vector<std::string> marked(std::int64_t id)
    {
        std::vector<std::string> having;
        for (OpenNode& node : nodes_) {
            if (is_marked(*node.connection, id)) {
                having.push_back(node.node.name);
            }
        }
        return having;
    }

    static nlohmann::json answer(const std::string& statement, const std::vector<std::string>& nodes,
                                 const std::string& state)
    {
        return {{"statement", statement}, {"nodes", nodes}, {"state", state}};
    }

    /// The tables alone: where the statement has run already its checks would find it done.
    DdlTarget check_names(const DdlStatement& statement)
    {
        DdlStatement bare;
        bare.tables = statement.tables;
        if (statement.tables.empty()) {
            const auto groups_of = catalog_.query("SELECT name FROM keyshift.table_group ORDER BY name");
            for (int row = 0; row < groups_of.rows(); ++row) {
                for (const CapturedTable& table : tables_of_group(catalog_, groups_of.text(row, 0))) {
                    if (table.captured) {
                        bare.tables.push_back(table.name);
                    }
                }
            }
        }
        return check_ddl(catalog_, nodes_, bare);
    }

    /// Reference tables have no leaves, and are small.
    void build_at_once_where_plain()
    {
        if (statement_.kind == Kind::create_index && target_.groups.empty()) {
            statement_.kind = Kind::transactional;
        }
    }

    void wait_for_moves(std::int64_t id)
    {
        while (!journal_.begin(id)) {
            const std::string why = journal_.in_the_way(id);
            if (!request_.keep_waiting || !request_.keep_waiting(why)) {
                journal_.end(id, "undone", nodes_);
                throw RefusedError(
                    {"keyshift ddl", why + ": the tables of both ends must stay alike",
                     "Repeat it with --wait, which goes between two moves, or when `keyshift reshard status` shows none."});
            }
            sleep_for(100ms, {});
        }
    }

    bool keep_trying(const std::string& waits_for) const
    {
        return std::chrono::steady_clock::now() - began_ < request_.patience &&
               (!request_.keep_waiting || request_.keep_waiting(waits_for));
    }

    void carry_out(std::int64_t id)
    {
        const auto keep = [this](const std::string& waits_for) {
            return keep_trying(waits_for);
        };
        try {
            if (statement_.kind == Kind::create_index) {
                build_index_everywhere(catalog_, nodes_, id, statement_, target_, keep);
            } else {
                run_everywhere(nodes_, id, statement_, target_, keep);
            }
        } catch (const TransientError& error) {
            throw TransientError(
                {"keyshift ddl: " + error.parts().what, error.parts().why,
                 "`keyshift ddl --finish` asks every node whether it has the statement, and finishes it "
                 "or takes it back."});
        } catch (const Error& error) {
            after_failure(id, error);
        }
        journal_.end(id, "done", nodes_);
    }

    [[noreturn]] void after_failure(std::int64_t id, const Error& error)
    {
        if (statement_.kind == Kind::create_index) {
            drop_index_everywhere(catalog_, nodes_, id, statement_, target_);
        } else if (const auto having = marked(id); !having.empty()) {
            throw FatalError({fmt::format("keyshift ddl: done on {}, not on the other nodes", join(having)),
                              error.parts().what + ": " + error.parts().why,
                              "Mend that there, then finish it: `keyshift ddl --finish`."});
        }
        journal_.end(id, "undone", nodes_);
        throw Error(error.kind() == ErrorKind::fatal ? ErrorKind::refused : error.kind(),
                    {"keyshift ddl: " + error.parts().what, error.parts().why,
                     "Nothing was changed on any node. " + error.parts().next});
    }

    pg::Connection& catalog_;
    const Ddl& request_;
    DdlJournal journal_;
    std::vector<OpenNode> nodes_;
    std::chrono::steady_clock::time_point began_;
    DdlStatement statement_;
    DdlTarget target_;
};

} // namespace

nlohmann::json ddl(pg::Connection& catalog, const Ddl& request)
{
    check_version(catalog);
    const CommandLock lock(catalog, "keyshift ddl");
    refuse_unfinished_split(catalog, "keyshift ddl");
    Run run(catalog, request);
    nlohmann::json left = run.finish();
    if (request.statement.empty()) {
        if (left.is_null()) {
            throw RefusedError({"keyshift ddl --finish", "no statement is unfinished", "Give one to begin."});
        }
        return left;
    }
    if (request.dry_run && !left.is_null()) {
        return {{"unfinished", std::move(left)}};
    }
    nlohmann::json done = run.begin();
    done["finished_before"] = std::move(left);
    return done;
}

} // namespace keyshift::catalog

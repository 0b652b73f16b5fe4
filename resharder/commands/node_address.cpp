#include "resharder/commands/node_address.hpp"

#include "catalog/node_access.hpp"
#include "catalog/node_preflight.hpp"
#include "catalog/node_slot.hpp"
#include "catalog/operations.hpp"
#include "catalog/rights.hpp"
#include "core/error.hpp"
#include "core/failpoint.hpp"
#include "core/json.hpp"
#include "resharder/stale_buckets.hpp"

#include <fmt/format.h>

namespace keyshift::resharder {

namespace {

struct Server {
    std::string system_identifier;
    std::string started; ///< tells one server from another with the same data
    bool standby = false;
};

Server look_at(pg::Connection& connection)
{
    const auto rows = connection.query("SELECT (SELECT system_identifier FROM pg_catalog.pg_control_system()), "
                                       "pg_catalog.pg_postmaster_start_time()::text, pg_catalog.pg_is_in_recovery()");
    return {std::string(rows.text(0, 0)), std::string(rows.text(0, 1)), rows.boolean(0, 2)};
}

class Change {
public:
    Change(pg::Connection& catalog, const NodeAddress& request)
        : catalog_(catalog), request_(request), before_(catalog::node(catalog, request.node)), after_(before_)
    {
        try {
            after_.address = pg::address_of(request.dsn);
        } catch (const Error& error) {
            refuse(error.parts().why, error.parts().next);
        }
        after_.dsn = request.dsn;
        after_.password_file = request.password_file.value_or(before_.password_file);
        connection_.emplace(after_.connection("node set"));
        server_ = look_at(*connection_);
    }

    void check()
    {
        if (server_.standby) {
            refuse("it is a standby, which takes no writes", "Promote it first: SELECT pg_promote();");
        }
        catalog::check_server_settings(*connection_, !has_slot());
        catalog::refuse_missing(what(), catalog::missing_on_node(*connection_, before_.slot));
        check_is_this_node();
        if (server_.system_identifier != before_.system_identifier && !request_.other_server) {
            refuse(fmt::format(
                       "the server's system identifier is {}, the node's is {}: neither the same server nor a standby "
                       "of it",
                       server_.system_identifier, before_.system_identifier),
                   "Give the address of the right one; where the database was copied to another server on purpose "
                   "(pg_upgrade, dump and restore), with writes stopped since before, add --other-server.");
        }
        warn_of_the_old_one();
    }

    nlohmann::json carry_out()
    {
        const std::uint32_t now = catalog::timeline_of(*connection_);
        nlohmann::json result = {{"node", before_.name},
                                 {"host", after_.address.host},
                                 {"port", after_.address.port},
                                 {"dbname", after_.address.dbname},
                                 {"system_identifier", server_.system_identifier},
                                 {"timeline", {{"before", before_.timeline}, {"now", now}}},
                                 {"buckets", nlohmann::json::array()},
                                 {"recovered", nullptr},
                                 {"dry_run", request_.dry_run}};
        if (!request_.dry_run) {
            // Fenced first: until the row is written no daemon and no client is sent there.
            result["buckets"] = mend_returned_node(catalog_, after_, fork(now));
            failpoint("node.address.mended");
            write_row();
            tell_everyone();
            if (server_.system_identifier != before_.system_identifier || !has_slot()) {
                result["recovered"] = recover();
            }
        }
        result["warnings"] = warnings_;
        return result;
    }

private:
    std::string what() const { return "node set " + request_.node; }
    [[noreturn]] void refuse(const std::string& why, const std::string& next) const
    {
        throw RefusedError({what(), why, next});
    }

    bool has_slot()
    {
        return connection_
                   ->query(
                       "SELECT FROM pg_catalog.pg_replication_slots WHERE slot_name = $1 AND wal_status IS DISTINCT FROM 'lost'",
                       {before_.slot})
                   .rows() > 0;
    }

    void check_is_this_node()
    {
        const bool there =
            connection_->query("SELECT pg_catalog.to_regclass('keyshift.local_identity') IS NOT NULL").boolean(0, 0);
        const auto rows = there ? connection_->query("SELECT cluster, node FROM keyshift.local_identity")
                                : connection_->query("SELECT '', '' WHERE false");
        if (rows.rows() == 0) {
            refuse("the database is no node", "A new node is added: `keyshift node add`.");
        }
        const std::string cluster = catalog::meta(catalog_, "cluster");
        if (rows.text(0, 0) != cluster || rows.text(0, 1) != before_.name) {
            refuse(fmt::format("the database is node {} of cluster {}", rows.text(0, 1), rows.text(0, 0)),
                   fmt::format("Give the address of node {} of cluster {}.", before_.name, cluster));
        }
    }

    /// A primary that goes on beside its promoted standby takes writes that nobody will see.
    void warn_of_the_old_one()
    {
        try {
            pg::Connection old(before_.connection("node set"));
            const Server there = look_at(old);
            if (there.system_identifier == before_.system_identifier && there.started != server_.started &&
                !there.standby) {
                warnings_.push_back(fmt::format("the server at {}:{} still takes writes: stop it, they are lost",
                                                before_.address.host, before_.address.port));
            }
        } catch (const Error&) {
            // As it should be: it is gone.
        }
    }

    std::optional<Lsn> fork(std::uint32_t now) const
    {
        return server_.system_identifier == before_.system_identifier ? fork_of(after_, now) : std::nullopt;
    }

    void write_row()
    {
        catalog_.query("UPDATE keyshift.node SET dsn = $2, password_file = $3, host = $4, port = $5::int, dbname = $6, "
                       "system_identifier = $7 WHERE name = $1",
                       {before_.name, after_.dsn, after_.password_file, after_.address.host,
                        std::to_string(after_.address.port), after_.address.dbname, server_.system_identifier});
        catalog::notify(catalog_, "node");
    }

    /// Clients are told the address by every node.
    void tell_everyone()
    {
        for (const catalog::Group& group : catalog::groups(catalog_)) {
            catalog::spread_placement(catalog_, group.name);
        }
        for (const catalog::Node& one : catalog::nodes(catalog_)) {
            try {
                pg::Connection connection(one.connection("node set"));
                connection.query(
                    "UPDATE keyshift.local_reference SET host = $2, port = $3::int, dbname = $4 WHERE home = $1",
                    {before_.name, after_.address.host, std::to_string(after_.address.port), after_.address.dbname});
            } catch (const Error& error) {
                warnings_.push_back(
                    fmt::format("node {} still gives the old address: {}; repeat the command when it is back", one.name,
                                error.parts().why));
            }
        }
    }

    nlohmann::json recover()
    {
        const auto status = catalog_.query(
            "SELECT confirmed_lsn FROM keyshift.stream_status WHERE node = $1 AND confirmed_lsn IS NOT NULL",
            {before_.name});
        nlohmann::json done = catalog::recover_capture(catalog_, before_.name, false);
        return {{"gap_from", status.rows() == 0 ? nlohmann::json() : nlohmann::json(std::string(status.text(0, 0)))},
                {"begins_at", done["begins_at"]},
                {"tables", done["tables"]}};
    }

    pg::Connection& catalog_;
    const NodeAddress& request_;
    catalog::Node before_;
    catalog::Node after_;
    std::optional<pg::Connection> connection_;
    Server server_;
    nlohmann::json warnings_ = nlohmann::json::array();
};

} // namespace

nlohmann::json set_node_address(pg::Connection& catalog, const NodeAddress& request)
{
    catalog::check_version(catalog);
    Change change(catalog, request);
    change.check();
    return change.carry_out();
}

} // namespace keyshift::resharder

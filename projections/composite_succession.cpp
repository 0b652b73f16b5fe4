#include "projections/composite_succession.hpp"

#include "catalog/node_access.hpp"
#include "catalog/node_sql.hpp"
#include "catalog/rows.hpp"
#include "core/failpoint.hpp"
#include "core/json.hpp"
#include "core/log.hpp"
#include "core/pg/short_lock.hpp"
#include "projections/commands/composite_rebuild.hpp"
#include "projections/commands/projection_table.hpp"
#include "projections/projection_record.hpp"
#include "projections/succession.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace keyshift::projections {

namespace {

using namespace std::chrono_literals;
using Json = nlohmann::json;

class CompositeSuccession {
public:
    CompositeSuccession(pg::Connection& catalog, const Composite& composite)
        : catalog_(catalog), composite_(composite),
          view_{composite.view(), composite.columns,
                fmt::format("CREATE OR REPLACE VIEW {} AS {}", composite.view().quoted(), composite.view_query),
                fmt::format("rebuilding projection {}: generation {}", composite.name, composite.generation),
                "Drop them, then `keyshift projection rebuild " + composite.name + "` begins anew."}
    {
        for (const std::string& member : composite.members) {
            members_.push_back(read_projection(catalog, member));
        }
    }

    void run(const std::stop_token& stop)
    {
        for (catalog::OpenNode& node : nodes()) {
            refuse_views_in_the_way(*node.connection, view_);
        }
        for (const ProjectionRecord& member : members_) {
            check_generation(catalog_, member, stop);
        }
        for (Backoff backoff(200ms, 5s);;) {
            for (catalog::OpenNode& node : nodes()) {
                // Readers of the old generation are waited for in short tries: nobody queues behind this.
                pg::with_short_locks(
                    *node.connection, [&] { take_view(*node.connection); }, [] {}, stop);
                failpoint("projection.succession.node");
            }
            {
                const auto lock = lock_commands(catalog_, composite_.name, stop);
                if (all_turned()) {
                    take_over_catalog();
                    break;
                }
            }
            wait_for_joined(backoff, composite_.name, stop);
        }
        log::info("projections", "projection={} generation={} serves", composite_.name, composite_.generation);
    }

private:
    std::vector<catalog::OpenNode> nodes() { return catalog::open_nodes(catalog_, "projection rebuild"); }

    const Definition& routed() const
    {
        return std::find_if(members_.begin(), members_.end(),
                            [](const auto& member) { return !member.definition.routed_as_schema.empty(); })
            ->definition;
    }

    /// A node that joined while it was built has the members' tables, and not their views.
    void take_view(pg::Connection& node)
    {
        for (const ProjectionRecord& member : members_) {
            node.script(view_statement(member.definition));
        }
        turn_view(node, view_);
        node.query("UPDATE keyshift.local_table SET alias = NULL WHERE alias = $1::regclass AND root <> $2::regclass",
                   {view_.name.quoted(), routed().table().quoted()});
        catalog::set_alias(node, routed().table(), view_.name);
        catalog::set_members(node, composite_.name, composite_.members);
    }

    /// The members that a token is waited for change with the view.
    bool all_turned()
    {
        std::vector<catalog::OpenNode> all = nodes();
        return std::all_of(all.begin(), all.end(), [&](catalog::OpenNode& node) {
            return node.connection
                       ->query(
                           "SELECT FROM keyshift.local_table WHERE root = to_regclass($1) AND alias = to_regclass($2) AND members = $3",
                           {routed().table().quoted(), view_.name.quoted(), catalog::write_array(composite_.members)})
                       .rows() == 1;
        });
    }

    void take_over_catalog()
    {
        pg::Transaction transaction(catalog_);
        const std::string generation = std::to_string(composite_.generation);
        // Only one that is up to date stays so.
        catalog_.query(
            "UPDATE keyshift.composite o SET serving = false, keep_until = k.until, wanted = CASE WHEN k.until IS NULL THEN 'drop' ELSE 'run' END "
            "FROM (SELECT o.generation, CASE WHEN o.serving AND n.keep_seconds > 0 AND (SELECT bool_and(p.state = 'live' AND p.wanted = 'run') "
            "FROM keyshift.projection p WHERE p.serving AND p.name = ANY (o.members)) THEN now() + make_interval(secs => n.keep_seconds) END AS until "
            "FROM keyshift.composite o JOIN keyshift.composite n ON n.name = o.name AND n.generation = $2 WHERE o.name = $1 AND o.generation <> $2) k "
            "WHERE o.name = $1 AND o.generation = k.generation",
            {composite_.name, generation});
        catalog_.query(
            "UPDATE keyshift.composite SET serving = true, keep_until = NULL WHERE name = $1 AND generation = $2",
            {composite_.name, generation});
        catalog::notify(catalog_, "projection");
        transaction.commit();
        failpoint("projection.succession.recorded");
    }

    pg::Connection& catalog_;
    const Composite& composite_;
    ReadView view_;
    std::vector<ProjectionRecord> members_;
};

void fail(pg::Connection& catalog, const Composite& composite, const ErrorParts& error)
{
    log::error("projections", "projection={} generation={} failed: {}", composite.name, composite.generation,
               error.why);
    catalog.query("UPDATE keyshift.composite SET error = $3 WHERE name = $1 AND generation = $2 AND NOT serving",
                  {composite.name, std::to_string(composite.generation),
                   Json{{"what", error.what}, {"why", error.why}, {"next", error.next}}.dump()});
}

void settle(pg::Connection& catalog, const Composite& composite, const std::stop_token& stop)
{
    if (is_successor(catalog, composite)) {
        if (state_of_successor(catalog, composite) == "verifying") {
            CompositeSuccession(catalog, composite).run(stop);
        }
        return;
    }
    const auto lock = lock_commands(catalog, composite.name, stop);
    // A command may have removed it meanwhile, and another may have its number.
    if (is_to_go(catalog, composite) && remove_generation(catalog, composite, stop)) {
        log::info("projections", "projection={} generation={} is gone", composite.name, composite.generation);
    }
}

} // namespace

void settle_composites(const pg::ConnectionSettings& settings, const std::stop_token& stop)
{
    pg::Connection catalog(settings);
    catalog.query(
        "UPDATE keyshift.composite SET wanted = 'drop', keep_until = NULL WHERE NOT serving AND keep_until < now()");
    for (const Composite& composite : unsettled_composites(catalog)) {
        try {
            settle(catalog, composite, stop);
        } catch (const FatalError& error) {
            fail(catalog, composite, error.parts());
        } catch (const Error& error) {
            if (!stop.stop_requested()) {
                log::warning("projections", "projection={} generation={} tried again: {}", composite.name,
                             composite.generation, error.what());
            }
            catalog = pg::Connection(settings);
        }
    }
}

} // namespace keyshift::projections

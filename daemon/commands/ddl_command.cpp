#include "daemon/commands/commands.hpp"

#include "catalog/ddl_statement.hpp"
#include "catalog/operations/ddl.hpp"
#include "core/json.hpp"

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

namespace keyshift::daemon {

namespace {

/// What takes rows or columns away is asked about.
void confirm(const CommandContext& context, const catalog::Ddl& request)
{
    if (request.statement.empty()) {
        return;
    }
    const catalog::DdlStatement read = catalog::read_ddl(request.statement);
    if (read.kind == catalog::DdlStatement::Kind::truncate || !read.dropped_columns.empty()) {
        context.confirm(request.statement + " on every node?");
    }
}

void run(CommandContext& context, catalog::Ddl& request)
{
    if (request.statement.empty() != request.finish) {
        throw Error(ErrorKind::usage, {"keyshift ddl", "it takes a statement, or --finish without one",
                                       "For example: keyshift ddl 'ALTER TABLE users ADD COLUMN age int'"});
    }
    confirm(context, request);
    request.dry_run = context.dry_run;
    const auto limit = context.limit();
    request.patience = limit.value_or(request.patience);
    const auto end = std::chrono::steady_clock::now() + limit.value_or(std::chrono::hours(24 * 365));
    if (context.wait) {
        watch_interrupt();
        request.keep_waiting = [end, said = std::string()](const std::string& waits_for) mutable {
            if (said != waits_for) {
                said = waits_for;
                note("waiting: " + said);
            }
            return !interrupted() && std::chrono::steady_clock::now() < end;
        };
    }
    pg::Connection catalog = context.catalog();
    context.print(catalog::ddl(catalog, request));
}

} // namespace

void add_ddl_command(CLI::App& app, CommandContext& context)
{
    const auto request = std::make_shared<catalog::Ddl>();
    CLI::App* verb = add_verb(app, "ddl", "Run a DDL statement for a distributed table on all its nodes, or on none",
                              "keyshift ddl 'ALTER TABLE users ADD COLUMN age int'");
    verb->add_option("statement", request->statement, "One statement: ALTER TABLE, CREATE INDEX, TRUNCATE, ...");
    verb->add_flag("--finish", request->finish, "Finish what a command that was interrupted left, also a TRUNCATE");
    takes_long(destroys(verb, context), context)->callback([&context, request] { run(context, *request); });
}

} // namespace keyshift::daemon

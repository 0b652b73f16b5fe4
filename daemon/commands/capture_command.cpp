#include "daemon/commands/commands.hpp"

#include "catalog/operations.hpp"
#include "core/json.hpp"

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

namespace keyshift::daemon {

namespace {

constexpr const char* kExamples = R"(keyshift table capture audit_log
  keyshift table capture users --exclude-columns password,notes
  keyshift table capture users --include-columns user_id,name,country
  keyshift table capture users --mask email=*** --mask phone=
  keyshift table capture users --hash email,phone
  keyshift table capture posts --truncate content=200
  keyshift table capture orders --key customer_id,order_id
  keyshift table capture audit_log --where "level <> 'debug'"
  keyshift table capture files --on-error dead-letter
  keyshift table capture users --mask '' --hash email
  keyshift table capture users --mask email=*** --mask mail=*** --former-columns email
  keyshift table capture users --defaults)";

struct Request {
    std::vector<std::string> tables;
    bool all = false;
    std::string node;
    catalog::OptionChanges options;
};

void add_option_flags(CLI::App& verb, catalog::OptionChanges& options)
{
    const auto text = [&verb](const char* flag, std::optional<std::string>& member, const char* help) {
        verb.add_option_function<std::string>(
            flag, [&member](const std::string& value) { member = value; }, help);
    };
    const auto assignments = [&verb](const char* flag, std::vector<std::string>& member, const char* help) {
        verb.add_option(flag, member, help)->allow_extra_args(false);
    };
    text("--include-columns", options.include_columns, "Events have these columns only: a,b");
    text("--exclude-columns", options.exclude_columns, "Events lack these columns: a,b");
    assignments("--mask", options.mask, "COLUMN=CONSTANT in place of every value; once a column");
    text("--hash", options.hash, "SHA-256 of the values, with the salt of cdc.hash_salt_file: a,b");
    assignments("--truncate", options.truncate, "COLUMN=N: the first N characters; once a column");
    text("--key", options.key, "Columns of the message key, instead of the primary key: a,b");
    text("--where", options.where, "Only rows that meet this SQL condition (the publication's row filter)");
    text("--on-error", options.on_error,
         "Of an event that is too large for its topic: stop the stream, or dead-letter (all but its values goes to "
         "<prefix>.keyshift.dead_letter)");
    text("--former-columns", options.former_columns,
         "Names that the table no longer has, but changes on their way may");
    verb.add_flag("--defaults", options.defaults, "Forget the options that were set before");
}

void check(const CommandContext& context, const Request& request)
{
    if (request.tables.empty() == !request.all) {
        throw Error(ErrorKind::usage,
                    {"table capture", "name tables, or say --all, not both", "keyshift table capture audit_log"});
    }
    if (request.all && request.options.any()) {
        throw Error(ErrorKind::usage, {"table capture --all", "options belong to tables that are named",
                                       "keyshift table capture users --exclude-columns password"});
    }
    if (request.options.hash && !request.options.hash->empty() && context.config().cdc.hash_salt_file.empty()) {
        throw Error(ErrorKind::configuration,
                    {"table capture --hash", "no salt is configured, and without one a hash gives short values away",
                     "Set cdc.hash_salt_file to a file that only keyshift can read, for every daemon."});
    }
}

} // namespace

void add_capture_command(CLI::App& table, CommandContext& context)
{
    const auto request = std::make_shared<Request>();
    CLI::App* verb = add_verb(table, "capture",
                              "Stream a table's changes to Kafka; it stays where it is. Of a captured "
                              "table: change what its events show",
                              kExamples);
    verb->add_option("tables", request->tables, "Tables to capture");
    verb->add_flag("--all", request->all, "Every table that can be captured");
    verb->add_option("--node", request->node, "The node, where several have the name");
    add_option_flags(*verb, request->options);
    changes(verb, context)->callback([&context, request] {
        check(context, *request);
        pg::Connection catalog = context.catalog();
        const std::optional<std::string> node = request->node.empty() ? std::nullopt : std::optional(request->node);
        const nlohmann::json done =
            catalog::capture(catalog, request->tables, request->all, node, context.dry_run, request->options);
        context.print(done);
        if (!context.dry_run && !done["captured"].empty()) {
            context.mention_missing_daemon(catalog, "its rows are queued for Kafka");
        }
    });
}

} // namespace keyshift::daemon

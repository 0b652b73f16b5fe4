#include "tests/contract/random_changes.hpp"

#include "core/names.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <map>

namespace keyshift::test {

namespace {

/// SQL with {} for a random number; several a type, the extremes among them.
const std::map<std::string, std::vector<std::string>>& values()
{
    static const std::map<std::string, std::vector<std::string>> kValues{
        {"integer", {"{}", "-{}", "2147483647", "-2147483648"}},
        {"smallint", {"{}", "-32768", "32767"}},
        {"bigint", {"{}", "9223372036854775807", "-9223372036854775808", "-{}"}},
        {"text",
         {"'text {}'", "''", "'quote '' \" back\\slash {}'", "E'new\\nline\\t{}'", "'Zoë 漢字 😀 {}'",
          "repeat('long {}', 2000)"}},
        {"varchar(10)", {"'c{}'"}},
        {"numeric(12,3)", {"{}.125", "-{}", "0", "999999999.999"}},
        {"numeric", {"{}.000000001", "-{}e20", "0", "1e-15"}},
        {"double precision", {"{}.5", "1e300", "-1e-300", "0", "0.1"}},
        {"real", {"{}.25", "1e30", "-0.1"}},
        {"boolean", {"true", "false"}},
        {"date", {"date '2000-01-01' + {}", "date '1969-12-31'", "date '9999-12-31'"}},
        {"timestamp",
         {"timestamp '2024-02-29 23:59:59.999999' + {} * interval '1 second'",
          "timestamp '1960-01-01 00:00:00.000001'"}},
        {"timestamp(3)", {"timestamp(3) '2024-02-29 23:59:59.999' + {} * interval '1 minute'"}},
        {"timestamptz", {"timestamptz '2024-06-30 12:00:00.123456+02' + {} * interval '1 hour'"}},
        {"time", {"time '00:00:00.000001' + {} * interval '1 second'", "time '23:59:59.999999'"}},
        {"jsonb", {R"('{{"n": {}, "list": [1, null, "x"], "ü": {{}}}}')", "'[]'", "'null'", R"('"text {}"')"}},
        {"text[]", {"ARRAY['a {}', NULL, 'quote \"']", "'{{}}'"}},
        {"integer[]", {"ARRAY[{}, NULL, -1]", "'{{}}'"}},
        // The sink drops what is below a second of an interval.
        {"interval", {"{} * interval '1 second'", "interval '25:00:00'"}},
        {"timetz", {"timetz '12:00:00+00' + {} * interval '1 second'"}},
        {"inet", {"inet '10.0.0.0' + {}", "'::1/64'"}},
        {"char(5)", {"'{}'"}},
        {"xml", {"'<a b=\"{}\"/>'"}},
        {"numeric(8,2)", {"{}.25"}},
        {"uuid", {"md5('{}')::uuid"}},
        {"bytea", {"decode(md5('{}'), 'hex')", "''", "decode(repeat('00ff', {}), 'hex')"}}};
    return kValues;
}

} // namespace

void RandomChanges::create(pg::Connection& connection) const
{
    for (const ChangedTable& table : tables_) {
        std::string columns;
        for (const auto& [name, type] : table.columns) {
            columns += fmt::format("{} {}, ", name, type);
        }
        std::string key;
        for (const std::string& column : table.key) {
            key += (key.empty() ? "" : ", ") + column;
        }
        connection.script(
            fmt::format("CREATE TABLE public.{0} ({1}PRIMARY KEY ({2})); ALTER TABLE public.{0} REPLICA IDENTITY {3}",
                        table.name, columns, key, table.whole_identity ? "FULL" : "DEFAULT"));
    }
}

std::string RandomChanges::value(const std::string& type)
{
    if (below(6) == 0) {
        return "NULL";
    }
    const std::vector<std::string>& forms = values().at(type);
    return fmt::format(fmt::runtime(forms[static_cast<std::size_t>(below(static_cast<int>(forms.size())))]),
                       below(10'000));
}

/// Few, so that rows are changed many times.
std::string RandomChanges::key_value(const std::string& type)
{
    constexpr int kKeys = 30;
    return type == "integer" || type == "bigint" ? std::to_string(below(kKeys)) : fmt::format("'k {}'", below(kKeys));
}

std::string RandomChanges::condition(const ChangedTable& table)
{
    std::string condition;
    for (const auto& [name, type] : table.columns) {
        if (std::ranges::find(table.key, name) != table.key.end()) {
            condition += fmt::format("{}{} = {}", condition.empty() ? "" : " AND ", name, key_value(type));
        }
    }
    return condition;
}

std::string RandomChanges::statement()
{
    const ChangedTable& table = tables_[static_cast<std::size_t>(below(static_cast<int>(tables_.size())))];
    const int kind = below(10);
    if (kind == 0) {
        return fmt::format("DELETE FROM public.{} WHERE {}", table.name, condition(table));
    }
    std::string names;
    std::string all;
    std::string some;
    std::string new_key;
    for (const auto& [name, type] : table.columns) {
        const bool is_key = std::ranges::find(table.key, name) != table.key.end();
        const std::string one = is_key ? key_value(type) : value(type);
        names += (names.empty() ? "" : ", ") + name;
        all += (all.empty() ? "" : ", ") + one;
        if (is_key) {
            new_key += fmt::format("{}{} = {}", new_key.empty() ? "" : ", ", name, one);
        } else if (some.empty() || below(2) == 0) {
            some += fmt::format("{}{} = {}", some.empty() ? "" : ", ", name, one);
        }
    }
    if (kind < 4) {
        return fmt::format("INSERT INTO public.{} ({}) VALUES ({}) ON CONFLICT DO NOTHING", table.name, names, all);
    }
    if (kind == 4) {
        return fmt::format("UPDATE public.{0} SET {1} WHERE {2} AND NOT EXISTS (SELECT FROM public.{0} WHERE ({3}))",
                           table.name, new_key, condition(table), [&] {
                               std::string taken = new_key;
                               for (std::size_t at = 0; (at = taken.find(", ", at)) != std::string::npos; at += 5) {
                                   taken.replace(at, 2, " AND ");
                               }
                               return taken;
                           }());
    }
    return fmt::format("UPDATE public.{} SET {} WHERE {}", table.name, some, condition(table));
}

void RandomChanges::run(pg::Connection& connection, int statements)
{
    while (statements > 0) {
        std::string transaction = "BEGIN;";
        for (int left = 1 + below(12); left > 0 && statements > 0; --left, --statements) {
            const bool rolled_back = below(15) == 0;
            transaction += rolled_back ? "SAVEPOINT s;" + statement() + ";ROLLBACK TO s;" : statement() + ";";
        }
        connection.script(transaction + (below(20) == 0 ? "ROLLBACK" : "COMMIT"));
    }
}

} // namespace keyshift::test

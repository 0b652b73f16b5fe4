#include "advisor/query_log.hpp"

#include "core/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <memory>
#include <pg_query.h>

namespace keyshift::advisor {

namespace {

constexpr std::string_view kCalls = "-- calls:";

std::string_view trimmed(std::string_view text)
{
    const auto begin = text.find_first_not_of(" \t\r\n");
    const auto end = text.find_last_not_of(" \t\r\n");
    return begin == std::string_view::npos ? std::string_view() : text.substr(begin, end - begin + 1);
}

std::size_t line_of(const std::string& text, std::size_t place)
{
    return 1 + static_cast<std::size_t>(std::count(
                   text.begin(), text.begin() + static_cast<std::ptrdiff_t>(std::min(place, text.size())), '\n'));
}

double read_calls(std::string_view number, const std::string& name, std::size_t line)
{
    const std::string_view digits = trimmed(number);
    double calls = 0;
    const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), calls);
    if (failure != std::errc() || end != digits.data() + digits.size() || !std::isfinite(calls) || calls < 0) {
        throw Error(ErrorKind::usage, {fmt::format("reading {}, line {}", name, line),
                                       "the number of calls is no number", "Write it as -- calls: 1200"});
    }
    return calls;
}

/// A statement with the comments before it: takes the lines `-- calls: N` out of them.
LoggedQuery read_one(std::string_view part, const std::string& name, std::size_t line)
{
    LoggedQuery query;
    part = part.substr(std::min(part.find_first_not_of(" \t\r\n"), part.size()));
    while (part.starts_with("--")) {
        const std::size_t end = std::min(part.find('\n'), part.size());
        if (part.starts_with(kCalls)) {
            query.calls = read_calls(part.substr(kCalls.size(), end - kCalls.size()), name, line);
        }
        part = part.substr(end);
        part = part.substr(std::min(part.find_first_not_of(" \t\r\n"), part.size()));
    }
    query.text = trimmed(part);
    return query;
}

constexpr const char* kTurnOn =
    "Put pg_stat_statements into shared_preload_libraries, restart, run CREATE EXTENSION pg_stat_statements and let a usual "
    "day pass; or write the statements into a file, each ended by ; with -- calls: N before it, and say --queries FILE.";

} // namespace

QueryLog read_query_file(const std::string& name, const std::string& text)
{
    QueryLog log{name, {}, 0, {}};
    const std::unique_ptr<PgQuerySplitResult, void (*)(PgQuerySplitResult*)> parts(
        new PgQuerySplitResult(pg_query_split_with_scanner(text.c_str())), [](PgQuerySplitResult* held) {
            pg_query_free_split_result(*held);
            delete held;
        });
    if (parts->error != nullptr) {
        const auto place = static_cast<std::size_t>(std::max(parts->error->cursorpos - 1, 0));
        throw Error(ErrorKind::usage, {fmt::format("reading {}, line {}", name, line_of(text, place)),
                                       parts->error->message, "Close the quote or the comment that begins there."});
    }
    for (int at = 0; at < parts->n_stmts; ++at) {
        const auto begin = static_cast<std::size_t>(parts->stmts[at]->stmt_location);
        const auto size = static_cast<std::size_t>(parts->stmts[at]->stmt_len);
        LoggedQuery query = read_one(std::string_view(text).substr(begin, size), name, line_of(text, begin));
        if (!query.text.empty()) {
            log.queries.push_back(std::move(query));
        }
    }
    if (log.queries.empty()) {
        throw Error(ErrorKind::usage,
                    {"reading " + name, "there is no statement in it", "Write one statement per ; into it."});
    }
    return log;
}

QueryLog read_query_statistics(pg::Connection& connection)
{
    const pg::Result extension = connection.query(
        "SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace "
        "WHERE e.extname = 'pg_stat_statements'");
    if (extension.rows() == 0) {
        return {"", {}, 0, fmt::format("the database has no extension pg_stat_statements. {}", kTurnOn)};
    }
    QueryLog log{"pg_stat_statements", {}, 0, {}};
    try {
        const pg::Result rows = connection.query(fmt::format(
            "SELECT query, sum(calls)::float8, sum(rows)::float8, sum(total_exec_time)::float8, queryid IS NULL "
            "FROM {}.pg_stat_statements WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) "
            "AND toplevel GROUP BY query, queryid IS NULL ORDER BY 2 DESC, 1",
            extension.text(0, 0)));
        for (int row = 0; row < rows.rows(); ++row) {
            if (rows.boolean(row, 4)) {
                log.hidden += static_cast<std::size_t>(rows.real(row, 1));
                continue;
            }
            log.queries.push_back(
                {std::string(rows.text(row, 0)), rows.real(row, 1), rows.real(row, 2), rows.real(row, 3)});
        }
    } catch (const pg::SqlError& error) {
        // 55000: the library is not in shared_preload_libraries.
        if (error.sqlstate() != "55000") {
            throw;
        }
        return {"",
                {},
                0,
                fmt::format("extension pg_stat_statements is there, and its library is not loaded. {}", kTurnOn)};
    }
    return log;
}

} // namespace keyshift::advisor

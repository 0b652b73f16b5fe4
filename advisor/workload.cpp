#include "advisor/workload.hpp"

#include <algorithm>

namespace keyshift::advisor {

namespace {

std::string on_one_line(const std::string& text)
{
    std::string line;
    for (const char byte : text) {
        const bool blank = byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
        if (!blank) {
            line += byte;
        } else if (!line.empty() && line.back() != ' ') {
            line += ' ';
        }
    }
    return line;
}

} // namespace

double Workload::calls() const
{
    double sum = 0;
    for (const Asked& one : asked) {
        sum += one.calls;
    }
    return sum;
}

Workload read_workload(const QueryLog& log, const std::map<QualifiedName, TableStatistics>& tables)
{
    Workload workload;
    workload.from = log.from;
    workload.missing = log.missing;
    workload.hidden = static_cast<double>(log.hidden);
    for (const LoggedQuery& query : log.queries) {
        ReadStatement read = read_statement(query.text, tables);
        if (read.statement) {
            Bindings bindings = bindings_of(*read.statement);
            workload.asked.push_back({on_one_line(query.text), query.calls, query.rows, query.milliseconds,
                                      std::move(*read.statement), std::move(bindings)});
        } else if (read.idle) {
            workload.idle_calls += query.calls;
        } else {
            workload.unread.push_back({on_one_line(query.text), query.calls, read.why});
        }
    }
    return workload;
}

} // namespace keyshift::advisor

#pragma once
/// The statements of a log that could be read, with their calls; and those that could not.

#include "advisor/query_log.hpp"
#include "advisor/reach.hpp"
#include "advisor/statement.hpp"

#include <string>
#include <vector>

namespace keyshift::advisor {

struct Asked {
    std::string text; ///< on one line
    double calls = 1;
    double rows = 0;
    double milliseconds = 0;
    Statement statement;
    Bindings bindings;

    bool writes() const { return statement.kind != Statement::Kind::select; }
};

struct Unread {
    std::string text;
    double calls = 1;
    std::string why;
};

struct Workload {
    std::string from;
    std::string missing;
    double hidden = 0; ///< calls of statements of other roles
    std::vector<Asked> asked;
    std::vector<Unread> unread;
    double idle_calls = 0; ///< of statements that touch no table of users

    double calls() const;
};

Workload read_workload(const QueryLog& log, const std::map<QualifiedName, TableStatistics>& tables);

} // namespace keyshift::advisor

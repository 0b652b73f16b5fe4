#pragma once
/// A day's worth of random changes to tables of many types: inserts, updates, deletes, key changes, NULLs, some of it rolled
/// back. The same seed makes the same day.

#include "core/pg/connection.hpp"

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace keyshift::test {

struct ChangedTable {
    std::string name;
    std::vector<std::pair<std::string, std::string>> columns; ///< name, type
    std::vector<std::string> key;
    bool whole_identity = false; ///< REPLICA IDENTITY FULL
};

class RandomChanges {
public:
    explicit RandomChanges(std::uint32_t seed) : random_(seed) {}

    const std::vector<ChangedTable>& tables() const { return tables_; }
    void create(pg::Connection& connection) const;
    /// So many statements, a few a transaction.
    void run(pg::Connection& connection, int statements);

private:
    int below(int end) { return std::uniform_int_distribution<int>(0, end - 1)(random_); }
    std::string value(const std::string& type);
    std::string key_value(const std::string& type);
    std::string condition(const ChangedTable& table);
    std::string statement();

    std::mt19937 random_;
    std::vector<ChangedTable> tables_{
        {"people",
         {{"id", "integer"},
          {"name", "text"},
          {"age", "smallint"},
          {"visits", "bigint"},
          {"balance", "numeric(12,3)"},
          {"score", "double precision"},
          {"weight", "real"},
          {"active", "boolean"},
          {"born", "date"}},
         {"id"}},
        {"events",
         {{"tenant", "integer"},
          {"code", "varchar(10)"},
          {"at", "timestamp"},
          {"at3", "timestamp(3)"},
          {"seen", "timestamptz"},
          {"clock", "time"},
          {"document", "jsonb"},
          {"token", "uuid"},
          {"amount", "numeric"}},
         {"tenant", "code"}},
        {"files", {{"path", "text"}, {"content", "bytea"}, {"note", "text"}, {"size", "bigint"}}, {"path"}, true},
        {"things",
         {{"id", "bigint"},
          {"tags", "text[]"},
          {"counts", "integer[]"},
          {"length", "interval"},
          {"opens", "timetz"},
          {"address", "inet"},
          {"letters", "char(5)"},
          {"mark", "xml"},
          {"prices", "numeric(8,2)"}},
         {"id"}}};
};

} // namespace keyshift::test

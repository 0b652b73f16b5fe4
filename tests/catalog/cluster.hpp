#pragma once
/// A catalog and up to a few nodes, each a database of a shared server.

#include "catalog/catalog.hpp"
#include "catalog/operations.hpp"
#include "tests/support/test_servers.hpp"

#include <nlohmann/json_fwd.hpp>

#include <memory>
#include <string>
#include <vector>

namespace keyshift::test {

class Cluster {
public:
    Cluster();

    pg::Connection& catalog() { return catalog_; }
    /// A fresh database, not yet a node.
    TestDatabase& add_database(DatabaseOwner owner = usual_owner());
    /// add_node of the database of that index, as n1, n2, ...
    void add_node(std::size_t index);
    pg::Connection connect(std::size_t index) const
    {
        return databases_.at(index)->connect("n" + std::to_string(index + 1));
    }
    TestDatabase& database(std::size_t index) { return *databases_.at(index); }
    /// distribute, as `offline` says.
    void distribute(const std::string& table, const std::vector<std::string>& key, const std::string& with = {},
                    std::uint32_t buckets = 8);
    const std::string& name() const { return name_; }

    bool offline = true; ///< false: while the table is in use

private:
    std::string name_;
    TestDatabase catalog_database_;
    pg::Connection catalog_;
    std::vector<std::unique_ptr<TestDatabase>> databases_;
};

/// The schema of a user who has not sharded yet: posts keyed by post_id alone, interactions with a foreign key across shards.
extern const char* const kUnshardedSchema;

/// What `doctor` finds, without the rights that a plain owner does well without.
nlohmann::json found_by_doctor(pg::Connection& catalog);

/// One value of a query of one row.
std::string one(pg::Connection& connection, const std::string& sql);
/// SQLSTATE of the error that the statement raises; "" when it passes.
std::string sqlstate_of(pg::Connection& connection, const std::string& sql);

} // namespace keyshift::test

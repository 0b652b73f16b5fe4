#pragma once
/// One case of the contract, as cases.json lists it.

#include "tests/support/process.hpp"

#include <map>
#include <ostream>
#include <string>
#include <vector>

namespace keyshift::test {

struct ContractCase {
    std::string name; ///< also of its golden file
    std::string sql;  ///< of SQL.setup.sql, which is run before anybody captures, and of SQL.sql
    std::map<std::string, std::string> debezium; ///< options of the connector
    std::map<std::string, std::string> keyshift; ///< keys of [cdc]
    std::string salt;                            ///< of hashed columns; empty: none is configured
    /// Arguments of `keyshift table capture`, one list a command.
    std::vector<std::vector<std::string>> capture;

    bool schemas() const { return keyshift.contains("schemas") && keyshift.at("schemas") == "true"; }
    bool heartbeats() const; ///< Debezium writes them, and they are compared
    /// The keys of [cdc] as the daemon's environment has them.
    Environment environment() const;

    friend void PrintTo(const ContractCase& one, std::ostream* out) { *out << one.name; }
};

/// A file of this folder.
std::string contract_file(const std::string& name);
std::vector<ContractCase> read_cases();

} // namespace keyshift::test

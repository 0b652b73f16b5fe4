#pragma once
/// One database that Keyshift captures, and the real Debezium too where it is present: a case's SQL is run in it, and what
/// each of them wrote is read.

#include "tests/contract/contract_case.hpp"
#include "tests/contract/golden_records.hpp"
#include "tests/contract/oracle.hpp"
#include "tests/daemon/installation.hpp"

#include <optional>
#include <string>

namespace keyshift::test {

class CapturedDatabase {
public:
    explicit CapturedDatabase(const ContractCase& one);

    /// NAME.setup.sql, everybody captures, NAME.sql, everybody has written all of it.
    void run();
    /// Everything in the topics, without clocks, WAL positions and names of the run.
    GoldenRecords keyshift_records() const;
    GoldenRecords debezium_records() const;

private:
    void run_sql(const std::string& file) const;
    void wait_for_existing_rows() const;
    void wait_until_all_is_written() const;
    GoldenRecords records(const kafka::Settings& settings) const;

    const ContractCase& case_;
    Installation installation_;
    std::optional<Oracle> oracle_;
};

} // namespace keyshift::test

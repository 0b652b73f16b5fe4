#pragma once
/// Base rows as they are at a known place of their history, read while writes go on: whatever changes such a row later has a
/// larger version. For verify, which compares with it, and repair, which writes it.

#include "catalog/catalog.hpp"
#include "projections/commands/comparison.hpp"
#include "projections/definition.hpp"
#include "projections/row_change.hpp"

#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace keyshift::projections {

struct SettledRow {
    RowKey row;
    BaseRow base;         ///< of a row that is not there: its primary key alone
    bool present = false; ///< false: there is no such row
    std::string hash;     ///< of what the projection shall show; empty: nothing
    SourcePosition version;
};

class SettledRows {
public:
    SettledRows(pg::Connection& catalog, const Definition& definition);

    /// Throws TransientError when a lock, or a transaction that was open before, does not end in time.
    std::vector<SettledRow> read(const std::vector<RowKey>& rows, std::stop_token stop);

private:
    /// Where a row's bucket is open, and under which epoch its events are.
    struct Place {
        std::string node;
        std::uint32_t bucket = 0;
        Epoch epoch{};
        bool operator==(const Place&) const = default;
    };
    using Keys = std::vector<std::string>;

    std::uint32_t bucket_of(const Keys& key);
    std::uint32_t bucket_of(const Keys& key, const std::string& node);
    pg::Connection& connection(const std::string& node);
    /// nullopt: the bucket is changing its node.
    std::optional<SettledRow> read_locked(const RowKey& row, const Keys& key, Place& place);
    SettledRow read_present(const RowKey& row, const Keys& key, Place& place, std::stop_token stop);
    std::map<std::string, Lsn> pass_horizon(const std::vector<Place>& places, std::stop_token stop);

    pg::Connection& catalog_;
    const Definition& definition_;
    catalog::CapturedTable table_;
    std::map<std::string, std::unique_ptr<pg::Connection>> connections_;
};

} // namespace keyshift::projections

#pragma once
/// What the writers were told is stored: the truth that the checks at the end compare with. Each key belongs to one
/// writer, so "last value" needs no locks; logs are read when the writers have stopped.

#include <map>
#include <string>
#include <unordered_map>
#include <vector>

namespace keyshift::demo {

/// A row as the demo compares it: its shard key and the columns that change, joined; not live: deleted.
struct RowState {
    bool live = true;
    std::string shard_key;
    std::string value;
    bool operator==(const RowState&) const = default;
};

/// Primary key's own id (user_id, post_id or interaction_id) -> state. Ids are unique in the demo.
using TableState = std::unordered_map<std::string, RowState>;
/// By table name.
using DatabaseState = std::map<std::string, TableState>;

struct WriterLog {
    DatabaseState acknowledged;
    long long writes = 0;
    long long redirects = 0;          ///< answers KS001, followed to the named node
    long long retries = 0;            ///< other retriable errors
    std::vector<double> milliseconds; ///< of each acknowledged write, retries included
    std::string error;                ///< why the writer gave up; empty: it did not
};

} // namespace keyshift::demo

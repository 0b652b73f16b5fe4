#pragma once
/// What one writer does next, and what the row is afterwards. Pure: picks from the keys it owns, knows no connection.

#include "demo/acknowledged.hpp"

#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace keyshift::demo {

/// One statement with text parameters; $1 is the shard key.
struct Write {
    std::string table;
    std::string name; ///< of the prepared statement
    std::string sql;
    std::vector<std::string> parameters;
    std::string id; ///< the row's own id
    RowState after;
};

class Workload {
public:
    Workload(DatabaseState owned, std::uint32_t seed);
    Write next();
    /// The write was acknowledged: it is what later writes build on.
    void acknowledged(const Write& write);

private:
    struct Keys {
        std::vector<std::string> ids;
        TableState rows;
    };
    Write insert(const std::string& table);
    std::optional<Write> update(const std::string& table);
    std::optional<Write> remove(const std::string& table);
    std::string fresh_uuid();
    const std::string* pick(Keys& keys);
    std::string fresh_value(const std::string& table);

    std::mt19937_64 random_;
    std::map<std::string, Keys> tables_;
    long long revision_ = 0;
};

} // namespace keyshift::demo

#pragma once
/// What `keyshift table capture` was told about one table: which columns and rows its events show, and how. Kept in the
/// catalog, carried to every stream. Plain data. The values of hidden, masked, hashed and cut columns reach no event.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace keyshift {

/// What becomes of an event that Kafka would refuse for its size.
enum class OnError : std::uint8_t { stop, dead_letter };

struct CaptureOptions {
    std::vector<std::string> include_columns;     ///< the only ones in events; empty: all
    std::vector<std::string> exclude_columns;     ///< in no event
    std::map<std::string, std::string> mask;      ///< column -> the constant that stands for every value, also for NULL
    std::vector<std::string> hash;                ///< SHA-256 with the salt of the configuration
    std::map<std::string, std::int64_t> truncate; ///< column -> characters (bytes of a bytea) that are kept
    std::vector<std::string> key;                 ///< columns of the message key; empty: those of the row's key
    std::string where;                            ///< SQL condition of the publication; empty: every row
    OnError on_error = OnError::stop;
    /// The table's columns when the options were set: a column that is not among them, while one that an option names is
    /// gone, may be that one under another name.
    std::vector<std::string> columns;

    bool operator==(const CaptureOptions&) const = default;
    bool shows(std::string_view column) const;
    /// Named by mask, hash or truncate: its events show something else than its value.
    bool alters(std::string_view column) const;
    /// Columns that an option names to keep their values from events.
    std::vector<std::string> guarded() const;
    /// Columns that an option names at all, but for those of the condition.
    std::vector<std::string> named() const;
};

} // namespace keyshift

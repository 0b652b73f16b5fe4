#pragma once
/// What becomes of a record that no broker would take for its size: the words of the stop, or the record that goes to
/// `<prefix>.keyshift.dead_letter` in its place (docs/dead-letters.md). It tells everything about the event but its values.
/// The stream's thread; what is returned lives until the next call.

#include "cdc/options.hpp"
#include "cdc/publish/event_encoder.hpp"
#include "cdc/publish/size_limits.hpp"
#include "cdc/source/change.hpp"
#include "core/error.hpp"
#include "core/schema.hpp"

#include <chrono>
#include <cstddef>
#include <map>
#include <string>

namespace keyshift::cdc {

/// A record that is too large, and what it was made from.
struct OversizeRecord {
    const EventContext& context;
    const TableSchema& table;
    const Change& change;
    const EncodedRecord& record;
    const std::string& topic;
    std::size_t bytes = 0; ///< of key, value and headers
    std::size_t limit = 0;
    RecordLimits limits; ///< what `limit` comes from
};

/// Of a record that has no table, too.
ErrorParts too_large(const std::string& what, const std::string& topic, std::size_t bytes, const RecordLimits& limits);

class DeadLetters {
public:
    DeadLetters(const CdcOptions& options, std::string node);

    const std::string& topic() const { return topic_; }
    ErrorParts stop(const OversizeRecord& oversize) const;
    /// `with_key`: with the event's key and all of its headers; without where that is too large too.
    const EncodedRecord& letter(const OversizeRecord& oversize, bool with_key);
    /// At most one line a table and minute.
    void log(const OversizeRecord& oversize);

private:
    using Clock = std::chrono::steady_clock;
    void append_columns(const OversizeRecord& oversize);

    const ValueOptions values_;
    const std::string node_;
    const std::string topic_;
    std::string value_;
    EncodedRecord letter_;
    std::map<QualifiedName, Clock::time_point> logged_;
};

} // namespace keyshift::cdc

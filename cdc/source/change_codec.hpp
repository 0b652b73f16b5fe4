#pragma once
/// Items of a subscription as bytes, so that they can wait in a file. Relations are kept aside and numbered: they are few.
/// Written and read by one process only; the form is private.

#include "cdc/source/change.hpp"
#include "cdc/source/subscription.hpp"

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace keyshift::cdc {

/// Ends a transaction's changes.
struct TransactionEnd {
    Lsn commit_lsn;
    Lsn end_lsn;
    std::uint32_t xid = 0;
};
using CodedItem = std::variant<OwnedChange, TransactionEnd, BarrierSeen>;

class ChangeCodec {
public:
    /// The bytes are valid until the next call.
    std::string_view encode(const Change& change);
    std::string_view encode(const TransactionEnd& end);
    std::string_view encode(const BarrierSeen& barrier);
    /// May be called from another thread than encode.
    CodedItem decode(std::string_view bytes);

private:
    std::uint32_t relation_number(const std::shared_ptr<const Relation>& relation);

    std::string buffer_;
    std::mutex mutex_;
    std::vector<std::shared_ptr<const Relation>> relations_;
};

} // namespace keyshift::cdc

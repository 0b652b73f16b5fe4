#include "cdc/publish/transaction_metadata.hpp"

#include "cdc/publish/json_text.hpp"

#include <fmt/core.h>

namespace keyshift::cdc {

void TransactionMetadata::begin(const Begin& transaction)
{
    transaction_ = transaction;
    open_ = false;
    total_ = 0;
    by_collection_.clear();
}

std::string TransactionMetadata::id(Lsn lsn) const
{
    return fmt::format("{}:{}", transaction_.xid, lsn.value);
}

TransactionRecord TransactionMetadata::begin_record(Lsn first_event)
{
    open_ = true;
    const std::string name = id(first_event);
    return {fmt::format(R"({{"id":"{}"}})", name),
            fmt::format(R"({{"status":"BEGIN","id":"{}","event_count":null,"data_collections":null,"ts_ms":{}}})", name,
                        transaction_.commit_time_us / 1000)};
}

void TransactionMetadata::append_block(std::string& out, std::string_view collection, Lsn event)
{
    auto found = by_collection_.find(collection);
    if (found == by_collection_.end()) {
        found = by_collection_.emplace(collection, 0).first;
    }
    out += fmt::format(R"({{"id":"{}","total_order":{},"data_collection_order":{}}})", id(event), ++total_,
                       ++found->second);
}

TransactionRecord TransactionMetadata::end_record(Lsn end)
{
    open_ = false;
    std::string collections;
    for (const auto& [name, count] : by_collection_) {
        collections += collections.empty() ? R"({"data_collection":)" : R"(,{"data_collection":)";
        append_string(collections, name);
        collections += fmt::format(R"(,"event_count":{}}})", count);
    }
    const std::string name = id(end);
    return {fmt::format(R"({{"id":"{}"}})", name),
            fmt::format(R"({{"status":"END","id":"{}","event_count":{},"data_collections":[{}],"ts_ms":{}}})", name,
                        total_, collections, transaction_.commit_time_us / 1000)};
}

} // namespace keyshift::cdc

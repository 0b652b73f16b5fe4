#include "tests/contract/transaction_topic.hpp"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <regex>
#include <set>
#include <stdexcept>
#include <utility>

namespace keyshift::test {

namespace {

using Id = std::pair<std::uint64_t, std::uint64_t>; ///< WAL position, transaction

Id id_of(const kafka::Message& record)
{
    static const std::regex kId(R"re("id":"(\d+):(\d+)"\})re");
    std::smatch found;
    if (!record.key || !std::regex_search(*record.key, found, kId)) {
        throw std::runtime_error("a record of the transaction topic has no transaction id as its key");
    }
    return {std::stoull(found[2]), std::stoull(found[1])};
}

std::vector<kafka::Message> in_wal_order(std::vector<kafka::Message> records)
{
    std::set<std::uint64_t> empty;
    for (const kafka::Message& record : records) {
        if (record.value && record.value->find("\"event_count\":0,") != std::string::npos) {
            empty.insert(id_of(record).second);
        }
    }
    std::erase_if(records, [&](const kafka::Message& record) { return empty.contains(id_of(record).second); });
    std::ranges::sort(records, {}, id_of);
    return records;
}

} // namespace

std::vector<kafka::Message> transactions_in_wal_order(std::vector<kafka::Message> records, const std::string& prefix)
{
    const std::string topic = prefix + ".transaction";
    std::vector<kafka::Message> transactions;
    std::ranges::copy_if(records, std::back_inserter(transactions),
                         [&](const kafka::Message& record) { return record.topic == topic; });
    std::erase_if(records, [&](const kafka::Message& record) { return record.topic == topic; });
    std::ranges::copy(in_wal_order(std::move(transactions)), std::back_inserter(records));
    return records;
}

void sort_collections(GoldenRecord& record)
{
    static const std::regex kCollection(R"re(\{"data_collection":"[^"]*","event_count":\d+\})re");
    const std::string begin = "\"data_collections\":[";
    const std::size_t at = record.value.find(begin);
    if (at == std::string::npos) {
        return;
    }
    const std::size_t from = at + begin.size();
    const std::size_t to = record.value.find(']', from);
    const std::string list = record.value.substr(from, to - from);
    std::multiset<std::string> sorted;
    for (std::sregex_iterator one(list.begin(), list.end(), kCollection), end; one != end; ++one) {
        sorted.insert(one->str());
    }
    std::string joined;
    for (const std::string& one : sorted) {
        joined += (joined.empty() ? "" : ",") + one;
    }
    record.value.replace(from, to - from, joined);
}

} // namespace keyshift::test

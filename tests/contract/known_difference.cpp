#include "tests/contract/known_difference.hpp"

#include "core/json.hpp"
#include "tests/contract/contract_case.hpp"

#include <algorithm>
#include <fstream>
#include <regex>
#include <stdexcept>

namespace keyshift::test {

namespace {

struct Replacement {
    std::string topic;
    std::string part; ///< "topic", "key", "value" or "headers"
    std::regex from;
    std::string to;
    std::string shown; ///< for the message when it changes nothing
};

std::vector<Replacement> replacements(const std::string& case_name)
{
    std::ifstream file(contract_file("differences.json"));
    std::vector<Replacement> found;
    for (const auto& entry : nlohmann::json::parse(file)) {
        for (const auto& one : entry.value("records", nlohmann::json::array())) {
            const std::vector<std::string> cases = one.value("cases", std::vector<std::string>{"differences"});
            if (std::ranges::find(cases, case_name) != cases.end()) {
                const std::string from = one.at("from");
                found.push_back({one.at("topic"), one.at("in"), std::regex(from), one.at("to"), from});
            }
        }
    }
    return found;
}

constexpr int kPartitions = 4;

/// True: the record, or where it is, is another one now.
bool apply(const Replacement& one, std::pair<std::string, int>& place, GoldenRecord& record)
{
    std::string& text = one.part == "topic"   ? place.first
                        : one.part == "key"   ? record.key
                        : one.part == "value" ? record.value
                                              : record.headers;
    const std::string before = text;
    text = std::regex_replace(text, one.from, one.to);
    if (one.part == "key" && text != before) {
        place.second = text == "NULL" || text.find("\"schema\"") != std::string::npos
                           ? kAnyPartition
                           : kafka::murmur2_partition(text, kPartitions);
    }
    return text != before;
}

} // namespace

GoldenRecords put_right(const std::string& case_name, const GoldenRecords& debezium)
{
    const std::vector<Replacement> all = replacements(case_name);
    std::vector<bool> used(all.size());
    GoldenRecords right;
    for (const auto& [where, list] : debezium) {
        for (const GoldenRecord& each : list) {
            auto place = where;
            GoldenRecord record = each;
            for (std::size_t at = 0; at < all.size(); ++at) {
                if (all[at].topic == where.first && apply(all[at], place, record)) {
                    used[at] = true;
                }
            }
            right[place].push_back(record);
        }
    }
    if (const auto idle = std::ranges::find(used, false); idle != used.end()) {
        const Replacement& one = all[static_cast<std::size_t>(idle - used.begin())];
        throw std::runtime_error("differences.json: Debezium no longer writes " + one.shown + " to " + one.topic);
    }
    return right;
}

} // namespace keyshift::test

#include "tests/cdc/publish/golden_records.hpp"

#include <algorithm>
#include <array>
#include <fstream>
#include <regex>
#include <stdexcept>

namespace keyshift::test {

namespace {

std::array<std::string, 5> fields_of(const std::string& line)
{
    std::array<std::string, 5> fields;
    std::size_t begin = 0;
    for (std::string& field : fields) {
        const std::size_t end = line.find('\t', begin);
        field = line.substr(begin, end - begin);
        begin = end + 1;
    }
    return fields;
}

void replace(std::string& text, const std::string& what, const std::string& by)
{
    if (const std::size_t at = text.find(what); at != std::string::npos) {
        text.replace(at, what.size(), by);
    }
}

/// Names of schemas begin with the topic prefix.
std::string without_prefix(std::string text, const std::string& prefix)
{
    const std::string name = "\"name\":\"";
    for (std::size_t at = 0; (at = text.find(name + prefix + ".", at)) != std::string::npos; at += name.size()) {
        text.replace(at + name.size(), prefix.size(), "PREFIX");
    }
    return text;
}

/// Only outside the row: the envelope from "source" on.
std::string without_changing(const std::string& value, const std::string& prefix, const std::string& database)
{
    static const std::regex kNumbers(R"re("(ts_ms|ts_us|ts_ns|txId|lsn)":\d+)re");
    static const std::regex kSequence(R"re("sequence":"\[.*?\]")re");
    const std::size_t source = value.rfind("\"source\":");
    std::string envelope = std::regex_replace(value.substr(source), kNumbers, "\"$1\":0");
    envelope = std::regex_replace(envelope, kSequence, "\"sequence\":\"\"");
    replace(envelope, "\"name\":\"" + prefix + "\"", "\"name\":\"PREFIX\"");
    replace(envelope, "\"db\":\"" + database + "\"", "\"db\":\"DATABASE\"");
    return without_prefix(value.substr(0, source), prefix) + envelope;
}

} // namespace

GoldenRecords read_golden(const std::string& file)
{
    std::ifstream lines(file);
    if (!lines) {
        throw std::runtime_error("no golden file " + file);
    }
    GoldenRecords records;
    for (std::string line; std::getline(lines, line);) {
        const auto [topic, partition, key, value, headers] = fields_of(line);
        records[{topic, key == "NULL" ? kAnyPartition : std::stoi(partition)}].push_back({key, value, headers});
    }
    return records;
}

GoldenRecord golden_form(const kafka::Message& message, const std::string& prefix, const std::string& database)
{
    GoldenRecord record{without_prefix(message.key.value_or("NULL"), prefix),
                        message.value ? without_changing(*message.value, prefix, database) : "NULL", ""};
    for (const auto& [name, value] : message.headers) {
        if (!name.starts_with("keyshift.")) {
            record.headers += (record.headers.empty() ? "" : ",") + name + "=" + value;
        }
    }
    replace(record.headers, "connectorLogicalName=" + prefix, "connectorLogicalName=PREFIX");
    return record;
}

GoldenRecords by_key(const GoldenRecords& records)
{
    GoldenRecords grouped;
    for (const auto& [place, list] : records) {
        for (const GoldenRecord& record : list) {
            grouped[{place.first + " " + record.key, kAnyPartition}].push_back(record);
        }
    }
    return grouped;
}

GoldenRecords keyless_sorted(GoldenRecords records)
{
    for (auto& [place, those] : records) {
        const auto keyed =
            std::ranges::stable_partition(those, [](const GoldenRecord& one) { return one.key == "NULL"; });
        std::ranges::sort(those.begin(), keyed.begin(), {}, &GoldenRecord::value);
    }
    return records;
}

std::map<std::string, std::size_t> counts(const GoldenRecords& records)
{
    std::map<std::string, std::size_t> counted;
    for (const auto& [place, list] : records) {
        counted[place.first] += list.size();
    }
    return counted;
}

} // namespace keyshift::test

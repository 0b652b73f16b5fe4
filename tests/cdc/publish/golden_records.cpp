#include "tests/cdc/publish/golden_records.hpp"

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
    return value.substr(0, source) + envelope;
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
    GoldenRecord record{message.key.value_or("NULL"),
                        message.value ? without_changing(*message.value, prefix, database) : "NULL", ""};
    for (const auto& [name, value] : message.headers) {
        if (!name.starts_with("keyshift.")) {
            record.headers += (record.headers.empty() ? "" : ",") + name + "=" + value;
        }
    }
    replace(record.headers, "connectorLogicalName=" + prefix, "connectorLogicalName=PREFIX");
    return record;
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

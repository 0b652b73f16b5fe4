#include "tests/contract/golden_records.hpp"

#include "tests/contract/transaction_topic.hpp"

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

/// A header's text is no JSON: what would break the file's lines is shown.
std::string on_one_line(std::string text)
{
    for (const auto& [letter, shown] : {std::pair("\n", "\u2424"), std::pair("\t", "\u2409")}) {
        for (std::size_t at = 0; (at = text.find(letter, at)) != std::string::npos;) {
            text.replace(at, 1, shown);
        }
    }
    return text;
}

/// Clocks, WAL positions and transaction numbers. Never in a row: only where no row's values are.
std::string without_clocks(const std::string& text)
{
    static const std::regex kNumbers(R"re("(ts_ms|ts_us|ts_ns|txId|lsn)":\d+)re");
    static const std::regex kSequence(R"re("sequence":"\[.*?\]")re");
    static const std::regex kTransaction(R"re("id":"\d+:\d+")re");
    std::string out = std::regex_replace(text, kNumbers, "\"$1\":0");
    out = std::regex_replace(out, kSequence, "\"sequence\":\"\"");
    return std::regex_replace(out, kTransaction, "\"id\":\"0:0\"");
}

/// A value's row is before "source"; a logical message's text is behind it, and its clock before.
std::string without_changing(const std::string& value, const std::string& prefix, const std::string& database)
{
    const std::size_t source = value.rfind("\"source\":{\"version\":");
    const bool message = value.find("{\"op\":\"m\",\"ts_ms\":") != std::string::npos;
    const std::size_t row = source == std::string::npos || message ? 0 : source;
    const std::size_t end = message ? value.rfind("\"message\":{") : value.size();
    std::string envelope = without_clocks(value.substr(row, end - row));
    replace(envelope, "\"name\":\"" + prefix + "\"", "\"name\":\"PREFIX\"");
    replace(envelope, "\"db\":\"" + database + "\"", "\"db\":\"DATABASE\"");
    return without_prefix(value.substr(0, row) + envelope + value.substr(end), prefix);
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
        records[{topic, std::stoi(partition)}].push_back({key, value, headers});
    }
    return records;
}

void write_golden(const std::string& file, const GoldenRecords& records)
{
    std::ofstream out(file);
    for (const auto& [place, list] : records) {
        for (const GoldenRecord& record : list) {
            out << place.first << '\t' << place.second << '\t' << record.key << '\t' << record.value << '\t'
                << record.headers << '\n';
        }
    }
    if (!out.flush()) {
        throw std::runtime_error("cannot write " + file);
    }
}

GoldenRecord golden_form(const kafka::Message& message, const std::string& prefix, const std::string& database)
{
    GoldenRecord record{"NULL", "NULL", ""};
    if (message.key) {
        static const std::regex kTransaction(R"re(\{"id":"\d+:\d+"\})re");
        record.key = without_prefix(*message.key, prefix);
        replace(record.key, "\"serverName\":\"" + prefix + "\"", "\"serverName\":\"PREFIX\"");
        if (message.topic == prefix + ".transaction") {
            record.key = std::regex_replace(record.key, kTransaction, R"({"id":"0:0"})");
        }
    }
    if (message.value) {
        record.value = without_changing(*message.value, prefix, database);
    }
    for (const auto& [name, value] : message.headers) {
        if (!name.starts_with("keyshift.")) {
            record.headers += (record.headers.empty() ? "" : ",") + name + "=" + on_one_line(value);
        }
    }
    replace(record.headers, "connectorLogicalName=" + prefix, "connectorLogicalName=PREFIX");
    return record;
}

GoldenRecords comparable(const GoldenRecords& records)
{
    GoldenRecords grouped;
    for (const auto& [place, list] : records) {
        for (const GoldenRecord& record : list) {
            const bool known = place.second != kAnyPartition;
            auto& group = grouped[{known ? place.first : place.first + " " + record.key, place.second}];
            group.push_back(record);
            if (place.first == "transaction") {
                sort_collections(group.back());
            }
        }
    }
    for (auto& [place, list] : grouped) {
        if (place.second == kAnyPartition && list.front().key == "NULL") {
            std::ranges::sort(list, {}, &GoldenRecord::value);
        }
    }
    return grouped;
}

} // namespace keyshift::test

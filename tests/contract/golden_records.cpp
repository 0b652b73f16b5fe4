#include "tests/contract/golden_records.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
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

/// Debezium escapes what is beyond the basic plane, Keyshift writes UTF-8: the same JSON.
std::string without_surrogates(const std::string& text)
{
    static const std::regex kPair(R"re(\\u(D[89AB][0-9A-F]{2})\\u(D[C-F][0-9A-F]{2}))re");
    std::string out;
    auto from = text.begin();
    for (std::sregex_iterator pair(text.begin(), text.end(), kPair), end; pair != end; ++pair) {
        const auto high = static_cast<std::uint32_t>(std::stoul((*pair)[1], nullptr, 16));
        const auto low = static_cast<std::uint32_t>(std::stoul((*pair)[2], nullptr, 16));
        const std::uint32_t point = 0x10000 + ((high - 0xD800) << 10U) + (low - 0xDC00);
        out.append(from, (*pair)[0].first);
        for (const unsigned byte : {0xF0U | point >> 18U, 0x80U | (point >> 12U & 0x3FU), 0x80U | (point >> 6U & 0x3FU),
                                    0x80U | (point & 0x3FU)}) {
            out += static_cast<char>(byte);
        }
        from = (*pair)[0].second;
    }
    return out.append(from, text.end());
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
        record.key = without_surrogates(without_prefix(*message.key, prefix));
    }
    if (message.value) {
        record.value = without_surrogates(without_changing(*message.value, prefix, database));
    }
    for (const auto& [name, value] : message.headers) {
        if (!name.starts_with("keyshift.")) {
            record.headers += (record.headers.empty() ? "" : ",") + name + "=" + without_surrogates(value);
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
            grouped[{known ? place.first : place.first + " " + record.key, place.second}].push_back(record);
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

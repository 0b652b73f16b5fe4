#include "tests/e2e/fold.hpp"

#include "core/change_event.hpp"

#include <fmt/core.h>

#include <set>
#include <stdexcept>

namespace keyshift::test {

Fold fold_topic(const Installation& installation, const std::string& table)
{
    Fold fold;
    std::map<std::string, SourcePosition> newest;
    std::set<std::string> seen;
    for (const kafka::Message& message :
         read_topic(installation.servers().kafka(), installation.prefix() + ".public." + table)) {
        ++fold.records;
        const SourcePosition position = SourcePosition::parse(message.header(kHeaderPosition).value_or("")).value();
        const std::string key = message.key.value();
        const bool repeat = !seen.insert(key + position.to_string() + (message.value ? "v" : "t")).second;
        fold.backward += !repeat && newest.contains(key) && position < newest[key] ? 1 : 0;
        newest[key] = position;
        if (!message.value) {
            continue;
        }
        const auto event = nlohmann::json::parse(*message.value);
        if (event.at("after").is_null()) {
            fold.rows.erase(key);
        } else {
            fold.rows[key] = event.at("after").dump();
        }
    }
    return fold;
}

std::map<std::string, std::string> table_rows(const Installation& installation, const std::string& table,
                                              const std::string& key, int nodes)
{
    std::map<std::string, std::string> rows;
    for (int number = 1; number <= nodes; ++number) {
        pg::Connection connection = installation.connect(number);
        const pg::Result all = connection.query(fmt::format(
            "SELECT row_to_json(t)::text FROM public.{0} t WHERE keyshift.owns('public.{0}', t.user_id::text)", table));
        for (int row = 0; row < all.rows(); ++row) {
            const auto values = nlohmann::json::parse(all.text(row, 0));
            nlohmann::json identity;
            std::string columns = key + ",";
            for (std::size_t begin = 0, end = 0; (end = columns.find(',', begin)) != std::string::npos;
                 begin = end + 1) {
                const std::string column = columns.substr(begin, end - begin);
                identity[column] = values.at(column);
            }
            if (!rows.emplace(identity.dump(), values.dump()).second) {
                throw std::runtime_error(table + " has " + identity.dump() + " on two nodes");
            }
        }
    }
    return rows;
}

} // namespace keyshift::test

#include "tests/contract/contract_case.hpp"

#include "core/json.hpp"

#include <algorithm>
#include <cctype>
#include <fstream>

namespace keyshift::test {

std::string contract_file(const std::string& name)
{
    return std::string(KEYSHIFT_CONTRACT) + "/" + name;
}

Environment ContractCase::environment() const
{
    Environment environment{{"KEYSHIFT_CDC__PARTITIONS", "4"}};
    for (const auto& [key, value] : keyshift) {
        std::string variable = "KEYSHIFT_CDC__" + key;
        std::ranges::transform(variable, variable.begin(), [](unsigned char letter) { return std::toupper(letter); });
        environment[variable] = value;
    }
    return environment;
}

bool ContractCase::heartbeats() const
{
    return debezium.contains("heartbeat.interval.ms");
}

std::vector<ContractCase> read_cases()
{
    std::ifstream file(contract_file("cases.json"));
    std::vector<ContractCase> cases;
    for (const auto& entry : nlohmann::json::parse(file)) {
        ContractCase one;
        one.name = entry.at("name");
        one.sql = entry.value("sql", one.name);
        one.debezium = entry.value("debezium", one.debezium);
        one.keyshift = entry.value("keyshift", one.keyshift);
        one.salt = entry.value("salt", one.salt);
        one.capture = entry.value("capture", std::vector<std::vector<std::string>>{{"--all"}});
        cases.push_back(one);
    }
    return cases;
}

} // namespace keyshift::test

// catalog_command CATALOG_CONNINFO distribute|distribute-online TABLE KEY | undistribute TABLE | split GROUP BUCKET | node-add NAME DSN | ddl STATEMENT: one operation in a process of its own, so
// that a failpoint can kill it.
#include "catalog/operations.hpp"
#include "catalog/operations/ddl.hpp"
#include "catalog/operations/split.hpp"
#include "core/error.hpp"
#include "core/json.hpp"

#include <iostream>
#include <string>
#include <vector>

int main(int count, char** values)
{
    const std::vector<std::string> arguments(values + 1, values + count);
    try {
        keyshift::pg::Connection catalog({"catalog", arguments.at(0), "", "test"});
        if (arguments.at(1).starts_with("distribute")) {
            const bool offline = arguments.at(1) == "distribute";
            keyshift::catalog::distribute(catalog, {arguments.at(2), {arguments.at(3)}, 8, "", offline, false});
        } else if (arguments.at(1) == "ddl") {
            keyshift::catalog::ddl(catalog, {arguments.at(2)});
        } else if (arguments.at(1) == "split") {
            keyshift::catalog::split(catalog,
                                     {static_cast<std::uint32_t>(std::stoul(arguments.at(3))), arguments.at(2), false});
        } else if (arguments.at(1) == "undistribute") {
            keyshift::catalog::undistribute(catalog, arguments.at(2), false);
        } else {
            keyshift::catalog::add_node(catalog, {arguments.at(2), arguments.at(3), "", false});
        }
    } catch (const std::exception& error) {
        std::cerr << error.what() << '\n';
        return 1;
    }
    return 0;
}

#include "projections/spelling.hpp"

#include <algorithm>
#include <set>

namespace keyshift::projections {

bool may_be_respelt(const Definition& definition, const std::string& name)
{
    static const std::set<std::string> kOneSpelling{"int2",  "int4", "int8", "uuid", "text",      "varchar",     "name",
                                                    "bytea", "bool", "date", "time", "timestamp", "timestamptz", "oid"};
    const auto found = std::find(definition.pk_names.begin(), definition.pk_names.end(), name);
    if (found == definition.pk_names.end()) {
        return false;
    }
    const std::string& base = definition.pk[static_cast<std::size_t>(found - definition.pk_names.begin())];
    return !kOneSpelling.contains(definition.base_columns[definition.base_column(base)].type_name);
}

} // namespace keyshift::projections

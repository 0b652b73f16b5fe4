#pragma once
/// Whether a publication still sends every change of the captured tables: PostgreSQL lets anybody who owns it alter it, and
/// tells the reader nothing.

#include "core/pg/connection.hpp"

#include <optional>
#include <string>
#include <vector>

namespace keyshift::cdc {

/// A captured table as the catalog has it.
struct PublishedTable {
    std::string name;      ///< quoted
    bool filtered = false; ///< a row filter was asked for
};

struct PublicationFault {
    std::string why;
    std::string mend; ///< SQL on the node, and what to read again
};

/// nullopt: all is well.
std::optional<PublicationFault> check_publication(pg::Connection& node, const std::string& publication,
                                                  const std::vector<PublishedTable>& tables);

} // namespace keyshift::cdc

#pragma once
/// Puts a twin in its table's place: one short transaction, tried with lock timeouts of tens of milliseconds.

#include "catalog/online/twin.hpp"

#include <functional>
#include <string>
#include <vector>

namespace keyshift::catalog {

/// All that makes two forms of a table the same, in a form that can be compared.
std::string shape_of(const TableDefinition& table, const std::vector<IncomingForeignKey>& incoming);

/// `before_lock` and `after` run inside the transaction on that node: the first while the table is still in use (the twin
/// stands at twin.name), the second when the twin has the table's name. Both may run several times. Returns warnings.
/// Throws TransientError where the table's definition has changed since the twin was made: that has to be made anew.
std::vector<std::string> swap_twin(pg::Connection& node, const std::string& publication, const Twin& twin,
                                   const std::function<void()>& before_lock, const std::function<void()>& after,
                                   const OnlineWork& work);

} // namespace keyshift::catalog

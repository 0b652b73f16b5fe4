#pragma once
/// The second form of a table, built beside the first on one node while that is read and written, and kept in step with it
/// by triggers inside each writer's own transaction (docs/adr/0014). The twin stands in a schema of its own under the
/// table's name, in no publication, until swap_twin() puts it in the table's place.
///
/// What holds between make_twin() and the swap: of a row of the first form that was written since, the twin has exactly the
/// same; of one that was not, the same or nothing. So rows copied from the first form under a key lock complete it.

#include "catalog/distributed_root.hpp"
#include "catalog/online_work.hpp"
#include "core/error.hpp"

#include <string>
#include <vector>

namespace keyshift::catalog {

struct Twin {
    DistributedRoot root;                     ///< of the second form; definition as the first form has it
    QualifiedName name;                       ///< where the second form stands
    std::vector<IncomingForeignKey> incoming; ///< that point at the first form
};

/// Schema, table, leaves, keys, indexes, foreign keys, triggers. `root` names the first form. Nothing is left when it throws. Writers of the table wait for moments only.
Twin make_twin(pg::Connection& node, const DistributedRoot& root, const OnlineWork& work);

/// Foreign keys of plain tables that point at the first form are made, and validated, to the twin as well, so that the swap
/// needs to read nothing. Only once the twin is complete: they would refuse rows that refer to one not yet copied.
void prepare_references(pg::Connection& node, const Twin& twin, const OnlineWork& work);

/// Throws TransientError where the table lacks a column that it had: the triggers refuse its writers until the twin is gone.
void check_columns(pg::Connection& node, const Twin& twin);
/// "its definition was changed", for check_columns() and the swap.
TransientError changed_meanwhile(pg::Connection& node, const QualifiedName& table);

/// Takes back what make_twin() made, also what a killed command left; idempotent.
void drop_twin(pg::Connection& node, const QualifiedName& table);

/// Throws RefusedError where the table cannot be replaced while it is used: views or functions depend on it, it has no
/// primary key that the copy can go by.
void check_replaceable(pg::Connection& node, const TableDefinition& table);

/// The definition that the twin gets before the swap, with its own name in it: no identity (the sequences' names are taken
/// until then), no triggers of users (they would fire twice), no foreign key to itself.
TableDefinition definition_of_twin(pg::Connection& node, const TableDefinition& table, const QualifiedName& twin);

/// Foreign key under another name, to the twin: prepared on a referencing table and renamed by the swap.
std::string prepared_name(const ConstraintDefinition& constraint);

/// Can be prepared before the swap: the referencing table is not partitioned.
bool can_be_prepared(pg::Connection& node, const IncomingForeignKey& key);

} // namespace keyshift::catalog

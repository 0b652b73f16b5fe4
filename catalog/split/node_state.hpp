#pragma once
/// What a node knows of a split: on the owner the new buckets are open, elsewhere they have placeholders.

#include "catalog/online_work.hpp"
#include "catalog/split/split_record.hpp"

#include <optional>
#include <vector>

namespace keyshift::catalog {

/// On the owner, in the transaction that swaps the leaves: local rows, ownership, the open messages of the stream.
void open_split(pg::Connection& node, const Split& split, const pg::Address& address);

/// Where the new buckets begin in the owner's WAL; nullopt: the node has not swapped. Waits for a swap that is being committed.
std::optional<Lsn> opened_at(pg::Connection& node, const Split& split);

/// On another node: two placeholders (or more) for one, in all tables of the group. Idempotent.
void split_placeholders(pg::Connection& node, const Split& split, const Group& group,
                        const std::vector<CapturedTable>& tables, const pg::Address& owner, const OnlineWork& work);

} // namespace keyshift::catalog

#pragma once
/// Corner 7 of a move: a promoted standby, or a node restored from a backup, that lost a fence or an open. Its own record of each
/// bucket is compared with the catalog's; what it has open though the bucket has left is fenced again at once. Rows written
/// there meanwhile stay where they are, behind the fence, and are reported: nothing merges them.

#include "catalog/catalog.hpp"
#include "core/lsn.hpp"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <optional>
#include <string>

namespace keyshift::resharder {

/// [{"group","bucket","state","owner","rows","why"}]: state "fenced_again" (what it held was moved unchanged and is cleared here),
/// "written" (fenced again; its leaves differ from what was moved, or that is not known, and stay), "opened_again" (its rows are
/// those that were moved here), "not_open" (the catalog gives it to this node, which lacks it: its rows may be lost), "split_lost" (the
/// catalog has it as made by a split of a bucket that this node has in one piece: nothing is changed). `fork`:
/// where the node's timeline branched off, where that is known. Empty: nothing differs. Safe to repeat.
nlohmann::json mend_returned_node(pg::Connection& catalog, const catalog::Node& node, std::optional<Lsn> fork);

/// The same for the node as the catalog has it now; nothing where its server is not the one that the catalog knows.
void mend_if_returned(pg::Connection& catalog, const std::string& node);

/// Where the node's timeline left that of the catalog; nullopt: it is the same one, or none that came from it.
std::optional<Lsn> fork_of(const catalog::Node& node, std::uint32_t present);

} // namespace keyshift::resharder

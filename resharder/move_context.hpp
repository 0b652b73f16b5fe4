#pragma once
/// What the steps of one move share during one attempt: connections, journal, tables, the donor's stream.
/// Made anew for each attempt: constructing it takes the move over on the catalog and both nodes. One thread.

#include "catalog/catalog.hpp"
#include "cdc/source/subscription.hpp"
#include "core/pg/session_pool.hpp"
#include "resharder/move_journal.hpp"
#include "resharder/resharder.hpp"
#include "resharder/switch_turn.hpp"
#include "resharder/write_block.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

namespace keyshift::resharder {

class OpenAhead;

struct MoveEnvironment {
    pg::ConnectionSettings catalog;
    Resharder::StreamOf stream;
    std::shared_ptr<const LiveOptions> options;
    metrics::ReshardMetrics* metrics = nullptr;
    SwitchTurns* turns = nullptr;
    pg::SessionPool* sessions = nullptr;
    /// Told that a move has switched: what is left of it takes no node's turn.
    std::function<void(std::int64_t move)> switched;
    /// Asked while a move copies rows: its job is paused, and it keeps what it has.
    std::function<bool(std::int64_t move)> held;
    /// Told that a move settles and its donor's copy may be kept current; with context.reverse.
    std::function<void(const BucketMove& move, std::unique_ptr<cdc::Subscription>)> settles;
    /// Asked to store at once how far the copies kept current on a node have come.
    std::function<void(const std::string& node)> advance_copies;
};

class MoveContext {
public:
    MoveContext(const MoveEnvironment& with, std::int64_t move_id);
    ~MoveContext();
    MoveContext(const MoveContext&) = delete;
    MoveContext& operator=(const MoveContext&) = delete;

    const BucketMove& move() const { return journal.move(); }
    /// Another session on the donor or recipient, for work beside the main ones. Work that has ended well gives it back.
    pg::Connection connect_donor(const std::string& purpose) const;
    pg::Connection connect_recipient(const std::string& purpose) const;
    void give_back(pg::Connection session) const noexcept { environment.sessions->give_back(std::move(session)); }
    /// The main ones too: the attempt has ended well, and this is not used again.
    void give_back_all() noexcept;
    /// The donor's stream; throws TransientError while it does not run.
    cdc::StreamPort& donor_stream() const;
    /// Tells the streams of both ends that the bucket history changed.
    void tell_streams() const;
    /// The name under which the copy of a table stands on the recipient now: staging, or the leaf once swapped.
    QualifiedName copy_of(const MoveTable& table);
    /// False: another bucket of the group switches now.
    bool take_turn();
    /// The last try has given its lock back.
    void note_failed_block();

    const MoveEnvironment& environment;
    pg::Connection catalog;
    MoveJournal journal;
    catalog::Group group;
    catalog::Node donor_node;
    catalog::Node recipient_node;
    pg::Connection donor;
    pg::Connection recipient;
    std::vector<MoveTable> tables; ///< referenced tables before those that reference them
    /// Begun by the copy, or again by catching up after a restart; nullptr for projections.
    std::unique_ptr<cdc::Subscription> subscription;
    /// On the recipient's stream from before the fence, for the donor's copy; nullptr after a crash since.
    std::unique_ptr<cdc::Subscription> reverse;
    /// Of the last try; nullopt after a crash in it, and for projections.
    std::optional<WriteBlock> block;
    /// Of tries before that one.
    double longest_block_ms = 0;
    /// Made ready by the fence, whose transaction has landed; nullptr after a crash since, and for projections.
    std::unique_ptr<OpenAhead> open_ahead;
    /// While it switches.
    std::optional<SwitchTurns::Turn> turn;
    /// Of donor and recipient, compared under the lock.
    std::pair<std::string, std::string> hashes;
    /// An xid of the donor: while a snapshot there is older, its frozen rows stay.
    std::string settle_horizon;

private:
    pg::ConnectionSettings purpose(const catalog::Node& node, const std::string& what) const;
};

/// Definition of the group's tables as the recipient has them. The order is by foreign keys inside the group.
std::vector<MoveTable> tables_of_move(pg::Connection& catalog, pg::Connection& recipient, const BucketMove& move);

bool table_exists(pg::Connection& node, const QualifiedName& table);

} // namespace keyshift::resharder

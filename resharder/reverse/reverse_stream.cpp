#include "resharder/reverse/reverse_stream.hpp"

#include "catalog/rows.hpp"
#include "core/backoff.hpp"
#include "core/failpoint.hpp"
#include "core/log.hpp"
#include "resharder/apply_batch.hpp"
#include "resharder/move_owner.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace keyshift::resharder {

namespace {

using namespace std::chrono_literals;

/// Nobody waits for a copy until somebody goes back to it (advance): many changes of many buckets then share a transaction.
constexpr auto kRound = 1s;
constexpr auto kReportEvery = 2s;
/// While a copy waits, the recipient's slot keeps its WAL: a node that is away for longer is no place to go back to.
constexpr auto kPatience = 2min;
constexpr std::size_t kMostBytes = 32U << 20U; ///< of changes in memory, of all copies
constexpr int kLooksUnwanted = 20;             ///< the resharder looks five times a second

/// The chain on the node is not where this thread believes it to be.
struct ChainMoved {};

constexpr const char* kChain =
    "SELECT p.reverse_lsn FROM keyshift.move_progress p JOIN keyshift.local_bucket b ON b.move = p.move "
    "WHERE p.move = $1 AND b.state = 'fenced' AND b.token = $2";

/// In one order, so that two daemons never wait for each other.
constexpr const char* kChainsLocked =
    "SELECT p.move, p.reverse_lsn FROM keyshift.move_progress p JOIN keyshift.local_bucket b ON b.move = p.move "
    "JOIN unnest($1::bigint[], $2::text[]) AS v (move, token) ON v.move = p.move AND v.token = b.token "
    "WHERE b.state = 'fenced' ORDER BY p.move FOR UPDATE OF p";

} // namespace

ReverseStream::ReverseStream(const MoveEnvironment& environment, std::string node)
    : environment_(environment), node_name_(std::move(node)),
      thread_([this](std::stop_token stop) { run(std::move(stop)); })
{
}

void ReverseStream::want(std::set<std::int64_t> moves)
{
    const std::lock_guard lock(mutex_);
    for (auto& [move, handed] : handed_) {
        handed.looks += moves.contains(move) ? 0 : 1;
    }
    std::erase_if(handed_, [](const auto& entry) { return entry.second.looks > kLooksUnwanted; });
    wanted_ = std::move(moves);
    changed_.notify_all();
}

void ReverseStream::hand_over(std::int64_t move, std::unique_ptr<cdc::Subscription> subscription)
{
    const std::lock_guard lock(mutex_);
    handed_[move] = {std::move(subscription)};
}

void ReverseStream::advance()
{
    const std::lock_guard lock(mutex_);
    waited_for_ = true;
    changed_.notify_all();
}

bool ReverseStream::is_waited_for()
{
    const std::lock_guard lock(mutex_);
    return std::exchange(waited_for_, false);
}

std::set<std::int64_t> ReverseStream::wanted()
{
    const std::lock_guard lock(mutex_);
    return wanted_;
}

std::unique_ptr<cdc::Subscription> ReverseStream::handed(std::int64_t move)
{
    const std::lock_guard lock(mutex_);
    const auto found = handed_.extract(move);
    return found.empty() ? nullptr : std::move(found.mapped().subscription);
}

void ReverseStream::run(std::stop_token stop)
{
    Backoff backoff(100ms, 5000ms);
    auto healthy = Clock::now();
    while (!stop.stop_requested()) {
        if (moves_.empty() && wanted().empty()) {
            node_.reset();
            catalog_.reset();
            std::unique_lock lock(mutex_);
            changed_.wait(lock, stop, [this] { return !wanted_.empty(); });
            healthy = Clock::now();
        }
        try {
            round(stop);
            healthy = Clock::now();
            backoff.reset();
        } catch (const Error& error) {
            log::info("resharder", "copies kept current on {}: {}", node_name_, error.what());
            node_.reset();
            if (Clock::now() - healthy > kPatience) {
                give_up_all("it failed for two minutes: " + error.parts().why);
            }
            catalog_.reset();
            backoff.wait(stop);
        }
    }
}

void ReverseStream::round(std::stop_token stop)
{
    if (!node_ || !catalog_) {
        connect();
    }
    take_up(wanted());
    gather(stop);
    const bool more = std::ranges::any_of(moves_, [](const auto& entry) { return entry.second.full(); });
    write();
    if (is_waited_for() || Clock::now() - reported_ >= kReportEvery) {
        report();
    }
    if (!more) {
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, stop, kRound, [this] { return waited_for_; });
    }
}

void ReverseStream::connect()
{
    pg::ConnectionSettings settings = environment_.catalog;
    settings.purpose = "copies kept current";
    catalog_.emplace(settings);
    node_.emplace(catalog::node(*catalog_, node_name_).connection("copies kept current"));
    find_chains();
}

/// After anything that failed: a commit may have landed without its reply, another daemon may have been here.
void ReverseStream::find_chains()
{
    std::map<std::int64_t, std::string> lost;
    for (auto entry = moves_.begin(); entry != moves_.end();) {
        FollowedMove& followed = entry->second;
        const auto chain = node_->query(kChain, {std::to_string(entry->first), followed.move().token});
        if (chain.rows() == 0 || chain.is_null(0, 0)) {
            entry = moves_.erase(entry); // cleared or taken over
            continue;
        }
        if (chain.lsn(0, 0) < followed.applied()) {
            lost.emplace(entry->first, "node " + node_name_ + " has lost what it had applied");
        }
        followed.applied_up_to(chain.lsn(0, 0));
        ++entry;
    }
    for (const auto& [move, why] : lost) {
        give_up(move, why);
    }
}

void ReverseStream::take_up(const std::set<std::int64_t>& wanted)
{
    std::erase_if(moves_, [&](const auto& entry) { return !wanted.contains(entry.first); });
    std::erase_if(given_up_, [&](std::int64_t move) { return !wanted.contains(move); });
    for (const std::int64_t move : wanted) {
        if (!moves_.contains(move) && !given_up_.contains(move)) {
            take_up(move);
        }
    }
}

void ReverseStream::take_up(std::int64_t id)
{
    const auto rows = catalog_->query(std::string("SELECT ") + kMoveColumns + " FROM keyshift.move WHERE id = $1",
                                      {std::to_string(id)});
    if (rows.rows() == 0) {
        return;
    }
    const BucketMove move = read_move(rows, 0);
    const auto chain = node_->query(kChain, {std::to_string(id), move.token});
    if (chain.rows() > 0 && !chain.is_null(0, 0)) {
        moves_.emplace(id, FollowedMove(move, tables_of_move(*catalog_, *node_, move), chain.lsn(0, 0)));
    }
}

void ReverseStream::listen(FollowedMove& followed)
{
    const BucketMove& move = followed.move();
    if (auto subscription = handed(move.id)) {
        followed.listen(std::move(subscription));
    }
    cdc::StreamPort* stream = environment_.stream(move.recipient);
    if (!followed.listens() && stream != nullptr) {
        followed.listen(stream->subscribe(move.id, move.group, move.bucket, followed.reached()));
    }
}

void ReverseStream::gather(std::stop_token stop)
{
    std::map<std::int64_t, std::string> unable;
    std::size_t bytes = 0;
    for (auto& [id, followed] : moves_) {
        if (bytes > kMostBytes) {
            break; // the others once these are written
        }
        try {
            if (!followed.listens()) {
                listen(followed);
            }
            const auto why = followed.listens() ? followed.gather(stop) : std::nullopt;
            if (why) {
                unable.emplace(id, *why);
            }
        } catch (const TransientError& error) {
            log::info("resharder", "move={} its donor's copy waits for the stream of {}: {}", id,
                      followed.move().recipient, error.what());
            followed.stop_listening();
        } catch (const FatalError& error) {
            unable.emplace(id, error.parts().why);
        }
        bytes += followed.pending_bytes();
    }
    for (const auto& [id, why] : unable) {
        give_up(id, why);
    }
}

void ReverseStream::write()
{
    std::vector<FollowedMove*> moves;
    for (auto& [id, followed] : moves_) {
        if (!followed.pending().empty()) {
            moves.push_back(&followed);
        }
    }
    if (moves.empty()) {
        return;
    }
    try {
        write_together(moves);
    } catch (const ChainMoved&) {
        find_chains();
    }
}

void ReverseStream::write_together(const std::vector<FollowedMove*>& moves)
{
    try {
        write(moves, kStatementRows);
    } catch (const pg::SqlError&) {
        for (FollowedMove* followed : moves) {
            write_alone(*followed);
        }
    }
}

void ReverseStream::write_alone(FollowedMove& followed)
{
    std::string why;
    for (const std::size_t rows : {kStatementRows, std::size_t{1}}) {
        try {
            write({&followed}, rows);
            return;
        } catch (const TransientError&) {
            throw;
        } catch (const FatalError& error) {
            why = error.parts().what + ": " + error.parts().why;
        }
    }
    give_up(followed.move().id, why);
}

void ReverseStream::check_chains(const std::vector<FollowedMove*>& moves)
{
    std::vector<std::string> ids;
    std::vector<std::string> tokens;
    for (const FollowedMove* followed : moves) {
        ids.push_back(std::to_string(followed->move().id));
        tokens.push_back(followed->move().token);
    }
    const auto rows = node_->query(kChainsLocked, {catalog::write_array(ids), catalog::write_array(tokens)});
    std::map<std::int64_t, std::optional<Lsn>> chains;
    for (int row = 0; row < rows.rows(); ++row) {
        chains[rows.integer(row, 0)] = rows.is_null(row, 1) ? std::nullopt : std::optional(rows.lsn(row, 1));
    }
    for (const FollowedMove* followed : moves) {
        const auto chain = chains.find(followed->move().id);
        const bool known = chain != chains.end();
        if (!may_follow(known, known ? chain->second : std::nullopt, followed->applied())) {
            throw ChainMoved();
        }
    }
}

void ReverseStream::record_chains(const std::vector<FollowedMove*>& moves)
{
    std::vector<std::string> ids;
    std::vector<std::string> upto;
    for (const FollowedMove* followed : moves) {
        ids.push_back(std::to_string(followed->move().id));
        upto.push_back(followed->reached().to_string());
    }
    node_->query("UPDATE keyshift.move_progress p SET reverse_lsn = v.upto "
                 "FROM unnest($1::bigint[], $2::pg_lsn[]) AS v (id, upto) WHERE p.move = v.id",
                 {catalog::write_array(ids), catalog::write_array(upto)});
}

void ReverseStream::write(const std::vector<FollowedMove*>& moves, std::size_t rows_a_statement)
{
    pg::Transaction transaction(*node_);
    check_chains(moves);
    for (const FollowedMove* followed : moves) {
        std::vector<ApplyTarget> targets;
        for (const MoveTable& table : followed->tables()) {
            targets.push_back({&table, table.leaf.quoted()});
        }
        apply_changes(*node_, followed->move(), std::move(targets), followed->pending(), rows_a_statement);
    }
    record_chains(moves);
    failpoint("move.reverse.committing");
    transaction.commit();
    failpoint("move.reverse.committed");
    for (FollowedMove* followed : moves) {
        followed->applied_up_to(followed->reached());
    }
}

/// Where nothing was written the positions advance all the same, or the recipient's slot would keep its WAL.
void ReverseStream::report()
{
    std::vector<FollowedMove*> idle;
    std::vector<std::string> ids;
    std::vector<std::string> from;
    std::vector<std::string> upto;
    for (auto& [id, followed] : moves_) {
        if (followed.pending().empty() && followed.reached() > followed.applied()) {
            idle.push_back(&followed);
            ids.push_back(std::to_string(id));
            from.push_back(followed.applied().to_string());
            upto.push_back(followed.reached().to_string());
        }
    }
    const auto advanced = node_->query(
        "UPDATE keyshift.move_progress p SET reverse_lsn = v.upto "
        "FROM unnest($1::bigint[], $2::pg_lsn[], $3::pg_lsn[]) AS v (id, at, upto) WHERE p.move = v.id AND p.reverse_lsn = v.at",
        {catalog::write_array(ids), catalog::write_array(from), catalog::write_array(upto)});
    if (advanced.affected() != static_cast<std::int64_t>(idle.size())) {
        find_chains();
        return;
    }
    for (FollowedMove* followed : idle) {
        followed->applied_up_to(followed->reached());
    }
    ids.clear();
    upto.clear();
    for (const auto& [id, followed] : moves_) {
        ids.push_back(std::to_string(id));
        upto.push_back(followed.applied().to_string());
    }
    catalog_->query(
        "UPDATE keyshift.move m SET reverse_position = v.upto FROM unnest($1::bigint[], $2::pg_lsn[]) AS v (id, upto) "
        "WHERE m.id = v.id AND m.state = 'settling' AND m.reverse_position < v.upto",
        {catalog::write_array(ids), catalog::write_array(upto)});
    reported_ = Clock::now();
}

void ReverseStream::give_up(std::int64_t move, const std::string& why)
{
    log::warning("resharder",
                 "move={} the donor's copy is not kept current any longer, going back would copy its rows: {}", move,
                 why);
    given_up_.insert(move);
    moves_.erase(move);
    catalog_->query("UPDATE keyshift.move SET reverse_position = NULL WHERE id = $1 AND state = 'settling'",
                    {std::to_string(move)});
}

void ReverseStream::give_up_all(const std::string& why)
{
    try {
        for (const std::int64_t move : wanted()) {
            give_up(move, why);
        }
    } catch (const Error& error) {
        log::info("resharder", "copies on {} are given up later: {}", node_name_, error.what());
    }
}

} // namespace keyshift::resharder

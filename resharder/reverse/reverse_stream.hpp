#pragma once
/// Keeps the frozen copies of one node current while their moves settle: the streams of the recipients, applied behind the
/// reject triggers. So a bucket goes back without being copied again. A chain as in catch_up.hpp, whose position is
/// keyshift.move_progress.reverse_lsn; taken from the node for good when the copy is cleared or taken over (may_follow).
/// One thread, a session on the node and one on the catalog, however many buckets. What fails is tried again; a copy
/// that cannot be kept current is given up, loudly: going back then copies it.

#include "resharder/move_context.hpp"
#include "resharder/reverse/followed_move.hpp"

#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>

namespace keyshift::resharder {

class ReverseStream {
public:
    ReverseStream(const MoveEnvironment& environment, std::string node);

    /// The moves whose copies are to be kept current, all of them. Any thread.
    void want(std::set<std::int64_t> moves);
    /// A subscription from before the switch, which spares the recipient's stream going back for one. Any thread.
    void hand_over(std::int64_t move, std::unique_ptr<cdc::Subscription> subscription);
    /// Stores its positions at once, and not only now and then, because somebody waits for one. Any thread.
    void advance();

private:
    using Clock = std::chrono::steady_clock;
    struct Handed {
        std::unique_ptr<cdc::Subscription> subscription;
        int looks = 0; ///< in which nobody wanted it
    };

    void run(std::stop_token stop);
    void round(std::stop_token stop);
    void connect();
    void take_up(const std::set<std::int64_t>& wanted);
    void take_up(std::int64_t move);
    void listen(FollowedMove& followed);
    void gather(std::stop_token stop);
    void write();
    void write_together(const std::vector<FollowedMove*>& moves);
    void write(const std::vector<FollowedMove*>& moves, std::size_t rows_a_statement);
    void write_alone(FollowedMove& followed);
    void report();
    /// Throws when the chain on the node is not where this thread believes it to be: find_chains().
    void check_chains(const std::vector<FollowedMove*>& moves);
    void record_chains(const std::vector<FollowedMove*>& moves);
    void find_chains();
    void give_up(std::int64_t move, const std::string& why);
    void give_up_all(const std::string& why);
    std::set<std::int64_t> wanted();
    bool is_waited_for();
    std::unique_ptr<cdc::Subscription> handed(std::int64_t move);

    const MoveEnvironment& environment_;
    const std::string node_name_;
    std::mutex mutex_;
    std::condition_variable_any changed_;
    std::set<std::int64_t> wanted_;         ///< under mutex_
    std::map<std::int64_t, Handed> handed_; ///< under mutex_
    bool waited_for_ = false;               ///< under mutex_

    // The thread's own.
    std::optional<pg::Connection> catalog_;
    std::optional<pg::Connection> node_;
    std::map<std::int64_t, FollowedMove> moves_;
    std::set<std::int64_t> given_up_;
    Clock::time_point reported_{};
    std::jthread thread_; ///< last: ends before what it uses
};

} // namespace keyshift::resharder

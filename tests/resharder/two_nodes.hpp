#pragma once
/// A catalog and two nodes with users and posts (co-located, foreign key) in four buckets, all owned by n1.

#include "catalog/catalog.hpp"
#include "metrics/families.hpp"
#include "resharder/resharder.hpp"
#include "tests/resharder/decoded_stream.hpp"
#include "tests/support/process.hpp"
#include "tests/support/test_servers.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace keyshift::test {

/// The donor keeps nothing for readers with an old map.
inline resharder::ReshardOptions quick()
{
    resharder::ReshardOptions options;
    options.grace = std::chrono::milliseconds(0);
    return options;
}

class TwoNodes {
public:
    /// `projection`: instead, one projection's table "likes" with no stream.
    explicit TwoNodes(bool projection = false);

    /// Rows on n1; a post's content has up to 49 characters.
    void load(int users, int posts);
    pg::Connection connect(const std::string& node) const;
    pg::Connection administrator(const std::string& node) const
    {
        return (node == "n2" ? second_ : first_).connect_superuser();
    }
    std::function<pg::Connection(const std::string&)> connector() const
    {
        return [this](const std::string& node) {
            return connect(node);
        };
    }
    /// Runs a Resharder in the background until it goes out of scope.
    class Running {
    public:
        explicit Running(TwoNodes& cluster, const resharder::ReshardOptions& options = {});
        ~Running();
        void change(const resharder::ReshardOptions& options) { options_->change(options); }

    private:
        std::shared_ptr<resharder::LiveOptions> options_;
        resharder::Resharder resharder_;
        std::jthread thread_;
    };
    /// The same in a process of its own (mover_program.cpp), which may be killed. `failpoints`: as in KEYSHIFT_FAILPOINTS.
    std::unique_ptr<BackgroundProgram> run_program(const std::string& failpoints,
                                                   std::chrono::milliseconds grace = std::chrono::milliseconds(0));
    DecodedStream& stream(const std::string& node);
    /// The slots keep what the streams have read, as the daemon's do for a move that goes on. Before the first stream.
    void keep_slots() { consume_slots_ = false; }

    /// Moves buckets and waits until the job has ended; its state.
    std::string reshard(const std::vector<std::uint32_t>& buckets, const std::string& to);
    std::int64_t start(const std::vector<std::uint32_t>& buckets, const std::string& to);
    std::string wait_job(std::int64_t job);
    /// Waits until the query on the node gives "t"; throws after two minutes.
    void wait_until(const std::string& node, const std::string& query);
    std::string value(const std::string& node, const std::string& query);
    /// Everything of moves that may be left on a node: staging tables, triggers on open leaves, progress, options.
    std::string leftovers(const std::string& node);
    /// Names, definitions, triggers and constraints of every leaf, to compare a placement before and after.
    std::string fingerprint(const std::string& node);

private:
    void make_node(const std::string& node, TestDatabase& database, bool owner);
    void make_catalog();

    bool projection_;
    bool consume_slots_ = true;
    std::string group_;
    TestDatabase first_;
    TestDatabase second_;
    std::unique_ptr<DecodedStream> first_stream_; ///< made when first asked for
    std::unique_ptr<DecodedStream> second_stream_;
    std::mutex streams_mutex_;
    metrics::Metrics metrics_;
    metrics::ReshardMetrics reshard_metrics_;
};

} // namespace keyshift::test

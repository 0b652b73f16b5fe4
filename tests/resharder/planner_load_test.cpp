/// The planner by size, rows and load, with capacities and pins; what moves cost; how a move's progress is worded.

#include "resharder/commands/move_cost.hpp"
#include "resharder/commands/phase.hpp"
#include "resharder/planner.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

namespace keyshift::resharder {
namespace {

/// "1:40 1:40 2:5": a bucket a word, OWNER:WRITES[/BYTES][#ROWS][=PIN].
GroupFacts group(const std::string& text, const std::string& name = "users")
{
    GroupFacts facts{name, {}};
    std::istringstream words(text);
    for (std::string word; words >> word;) {
        BucketFacts bucket{"n" + word.substr(0, word.find(':'))};
        const std::string rest = word.substr(word.find(':') + 1);
        bucket.writes = std::stod(rest);
        const std::size_t slash = rest.find('/');
        bucket.bytes =
            slash == std::string::npos ? static_cast<std::int64_t>(bucket.writes) : std::stoll(rest.substr(slash + 1));
        if (const std::size_t hash = rest.find('#'); hash != std::string::npos) {
            bucket.rows = std::stoll(rest.substr(hash + 1));
        }
        if (const std::size_t pin = rest.find('='); pin != std::string::npos) {
            bucket.pinned = "n" + rest.substr(pin + 1);
        }
        facts.buckets[BucketId{static_cast<std::uint32_t>(facts.buckets.size())}] = bucket;
    }
    return facts;
}

/// "1:2,2:1": nodes with their capacities.
std::vector<NodeFacts> nodes(const std::string& text)
{
    std::vector<NodeFacts> facts;
    std::istringstream words(text);
    for (std::string word; std::getline(words, word, ',');) {
        facts.push_back({"n" + word.substr(0, word.find(':')), std::stod(word.substr(word.find(':') + 1))});
    }
    return facts;
}

std::string after(const GroupFacts& facts, const std::vector<PlannedMove>& moves)
{
    std::string owners;
    for (const auto& [bucket, of_bucket] : facts.buckets) {
        std::string owner = of_bucket.owner;
        for (const PlannedMove& move : moves) {
            if (move.group == facts.name && move.bucket == bucket) {
                EXPECT_EQ(move.donor, owner);
                EXPECT_FALSE(move.why.empty());
                owner = move.recipient;
            }
        }
        owners += owner.substr(1);
    }
    return owners;
}

struct Case {
    const char* says;
    const char* nodes;
    const char* buckets;
    Balance by;
    const char* after;
};

TEST(Planner, WeighsCapacityPinsCostAndGain)
{
    const std::vector<Case> cases{
        {"a node of twice the capacity gets twice the buckets", "1:1,2:2", "1:1 1:1 1:1 1:1 1:1 1:1", Balance::count,
         "112222"},
        {"half the capacity, half the buckets", "1:1,2:0.5", "1:1 1:1 1:1 1:1 1:1 1:1", Balance::count, "111122"},
        {"as it should be by capacity", "1:1,2:2", "1:1 2:1 2:1", Balance::count, "122"},
        {"the hot bucket's neighbours leave, not the hot one", "1:1,2:1", "1:100 1:30 1:30 2:40", Balance::load,
         "1222"},
        {"load decides, not size", "1:1,2:1", "1:50/1 1:50/1 2:0/1000000", Balance::load, "212"},
        {"of two that gain about as much the cheaper one moves", "1:1,2:1", "1:50/900 1:45/10 1:5/10", Balance::load,
         "122"},
        {"within the threshold nothing moves for nothing", "1:1,2:1", "1:52 2:48", Balance::load, "12"},
        {"a move that gains too little for its size is not made", "1:1,2:1", "1:75 1:25=1 2:10", Balance::load, "112"},
        {"no writes, nothing to balance by", "1:1,2:1", "1:0/50 1:0/50", Balance::load, "11"},
        {"a pinned bucket stays", "1:1,2:1", "1:1 1:1 1:1=1 1:1=1", Balance::count, "2211"},
        {"a pinned bucket goes home", "1:1,2:1", "1:1=2 1:1 2:1", Balance::count, "212"},
        {"rows decide, not writes or bytes", "1:1,2:1", "1:50/1#10 1:1/1#50 1:1/900#40 2:1/9000#0", Balance::rows,
         "1212"},
        {"of two that gain about as much by rows the smaller one moves", "1:1,2:1", "1:0/900#50 1:0/10#45 1:0/10#5",
         Balance::rows, "122"},
        {"rows within the threshold", "1:1,2:1", "1:9/9#52 2:1/1#48", Balance::rows, "12"},
        {"twice the capacity, twice the rows", "1:1,2:2", "1:1/1#30 1:1/1#30 1:1/1#30", Balance::rows, "221"},
        {"nobody knows how many rows there are", "1:1,2:1", "1:5/50#0 1:5/50#0", Balance::rows, "11"},
        {"where the fullest node cannot give, the next one does", "1:1,2:1,3:1", "1:90=1 2:40 2:40 3:0", Balance::size,
         "1323"},
    };
    for (const Case& one : cases) {
        const ClusterFacts cluster{nodes(one.nodes), {group(one.buckets)}};
        Wish wish;
        wish.by = one.by;
        EXPECT_EQ(after(cluster.groups[0], plan_moves(cluster, wish)), one.after) << one.says;
    }
}

TEST(Planner, BySizeAndLoadSeesAllGroupsOfANodeTogether)
{
    const ClusterFacts cluster{nodes("1:1,2:1"), {group("1:50 1:50", "users"), group("2:50 2:50", "posts")}};
    Wish wish;
    wish.by = Balance::load;
    EXPECT_TRUE(plan_moves(cluster, wish).empty()) << "the nodes are even, whatever each group is";
    wish.by = Balance::count;
    EXPECT_EQ(plan_moves(cluster, wish).size(), 2U);
}

TEST(Planner, TheThresholdsAreTheUsers)
{
    const ClusterFacts cluster{nodes("1:1,2:1"), {group("1:30 1:30 2:45")}};
    Wish wish;
    wish.by = Balance::load;
    EXPECT_TRUE(plan_moves(cluster, wish).empty());
    wish.improvement = 0;
    EXPECT_TRUE(plan_moves(cluster, wish).empty()) << "no move brings them nearer";
    const ClusterFacts uneven{nodes("1:1,2:1"), {group("1:30 1:25 2:45")}};
    EXPECT_TRUE(plan_moves(uneven, wish).empty());
    const ClusterFacts fine{nodes("1:1,2:1"), {group("1:54 1:2 2:46")}};
    wish.threshold = 0.25;
    EXPECT_TRUE(plan_moves(fine, wish).empty());
    wish.threshold = 0.01;
    EXPECT_EQ(plan_moves(fine, wish).size(), 1U);
}

TEST(MoveCost, IsLearntFromWhatMovesTook)
{
    EXPECT_FALSE(learn_cost({}).measured);
    const MoveCost cost = learn_cost({{1, 0}, {3, 2e6}, {5, 4e6}});
    EXPECT_TRUE(cost.measured);
    EXPECT_DOUBLE_EQ(cost.of(0), 1);
    EXPECT_DOUBLE_EQ(cost.of(2e6), 3);
    EXPECT_DOUBLE_EQ(learn_cost({{2, 1e6}}).of(3e6), 6) << "of one move, bytes are all there is to go by";
}

TEST(MoveCost, OfAPlanIsThatOfItsBusiestNode)
{
    const MoveCost cost{1, 0, true};
    const std::vector<PlannedMove> moves{{"g", BucketId{0}, "n1", "n2", 0, 0, 0, ""},
                                         {"g", BucketId{1}, "n1", "n3", 0, 0, 0, ""},
                                         {"g", BucketId{2}, "n1", "n3", 0, 0, 0, ""}};
    EXPECT_DOUBLE_EQ(seconds_for(moves, cost, {1, 0}), 3);
    EXPECT_DOUBLE_EQ(seconds_for(moves, cost, {3, 0}), 1);
    EXPECT_DOUBLE_EQ(seconds_for(moves, cost, {3, 2}), 1.5);
    EXPECT_DOUBLE_EQ(seconds_for({}, cost, {1, 0}), 0);
}

TEST(Phase, SaysHowFarTheCopyIsAndHowLongItTakes)
{
    MoveProgress move{MoveState::copying, 450, 1000, 55, 0, 0, false};
    EXPECT_EQ(phase(move), "copies rows, 45 %");
    EXPECT_DOUBLE_EQ(seconds_left(move).value(), 10);
    move.rows = 1200;
    EXPECT_EQ(phase(move), "copies rows, 100 %") << "the plan's count was an estimate";
    EXPECT_EQ(seconds_left(move), std::nullopt);
    move.state = MoveState::attached;
    move.fence_tries = 3;
    EXPECT_EQ(phase(move), "waits to switch, 3 tries");
}

} // namespace
} // namespace keyshift::resharder

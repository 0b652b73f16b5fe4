#pragma once
/// One random history: a base table that is written, its topic, a projection that is built and kept by workers which die, sleep
/// and come back, while buckets of both move. Every so often input stops, and the projection must equal its definition.

#include "projections/event_mapper.hpp"
#include "tests/projections/histories/model_nodes.hpp"

#include <array>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace keyshift::test {

enum class Broken : std::uint8_t {
    none,
    differs,         ///< INV-PRJ-1
    totals_disagree, ///< with the rows behind them
    replay_wrote,    ///< an event that came again has written its row again
};
const char* name(Broken broken);

class History {
public:
    History(std::uint32_t seed, const Rules& rules);
    ~History();
    History(const History&) = delete;
    History& operator=(const History&) = delete;

    /// So many steps, then input stops once more. What was broken first.
    Broken run(int steps);
    /// What differs: a few lines.
    const std::string& difference() const { return difference_; }

private:
    static constexpr auto kPartitions = static_cast<std::size_t>(ModelSource::kPartitions);
    using Positions = std::array<std::int64_t, kPartitions>;

    /// The row in keyshift.projection.
    struct Record {
        std::int64_t id = 1;
        ModelDefinition definition;
        std::optional<Positions> start;
        std::set<int> backfilled; ///< buckets of the base table
    };
    struct Worker;

    void step();
    void step_of_workers();
    void step_of_source();
    void step_of_nodes();
    void start_worker();
    Positions ends() const;
    Positions positions() const;
    void apply(Worker& worker, bool all);
    void fill(Worker& worker);
    void begin_bucket(Worker& worker);
    std::vector<projections::RowChange> read_batch(Worker& worker, Positions& next, bool all);
    void fill_absent(projections::RowChange& change) const;
    /// False: the worker is no more.
    template <typename Work>
    bool survives(const Work& work);
    void bury(bool sleeps);
    void make_anew(const ModelDefinition& definition);
    bool truncated() const;
    void repair(int id);
    void settle();
    void catch_up();
    void compare();

    Random random_;
    bool restless_; ///< nodes come and go, and transactions are struck, much more often
    const Rules& rules_;
    ModelSource source_;
    ModelNodes nodes_;
    Record record_;
    std::unique_ptr<Worker> worker_;
    std::list<std::unique_ptr<Worker>> sleepers_; ///< overtaken, and not aware of it
    Broken broken_ = Broken::none;
    std::string difference_;
};

} // namespace keyshift::test

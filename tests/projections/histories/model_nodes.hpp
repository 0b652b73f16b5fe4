#pragma once
/// The nodes that a projection is on: which has which bucket, their tables and progress, and the transactions by which a writer
/// changes them. A transaction may be struck before or behind its commit.

#include "tests/projections/histories/model_source.hpp"
#include "tests/projections/histories/model_table.hpp"

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace keyshift::test {

/// The writer is killed, or its node is.
struct Struck : std::runtime_error {
    Struck() : std::runtime_error("struck") {}
};

struct Progress {
    std::int64_t next = 0;
    std::int64_t owner = 0;
};
struct ModelNode {
    ModelTable table;
    std::map<int, Progress> progress; ///< by partition
    std::map<int, bool> open;         ///< by bucket

    void flush()
    {
        durable_table = table;
        durable_progress = progress;
    }
    ModelTable durable_table; ///< its commits do not wait for the disk
    std::map<int, Progress> durable_progress;
};

class ModelNodes {
public:
    static constexpr int kBuckets = 4;
    static constexpr std::size_t kMost = 4;

    ModelNodes(Random& random, const Rules& rules);

    static int bucket_of(int user) { return user % kBuckets; }
    std::vector<ModelNode>& all() { return nodes_; }
    const std::vector<ModelNode>& all() const { return nodes_; }
    const std::array<std::size_t, kBuckets>& placement() const { return placement_; }
    const Rules& rules() const { return rules_; }
    Random& random() { return random_; }

    /// One without rows, buckets and progress.
    void add_node();
    /// The newest one, where it owns nothing.
    void remove_node();
    /// The donor refuses writes from here on, until finish_move().
    void begin_move();
    void finish_move();
    /// All tables are dropped and made again, empty, and no progress is left.
    void make_anew();
    /// The disk has all that a node has committed.
    void flush_one();
    /// A node's power fails.
    void lose_tail();
    /// Live rows of open buckets, wherever they are.
    std::map<ModelKey, std::string> shown() const;
    bool totals_agree() const;
    std::int64_t rewritten() const;

    // What may go wrong, and who else is at work.
    bool may_strike = true;
    int strikes_one_of = 60;
    std::function<void()> other_writer; ///< within a statement, where no lock keeps it out

private:
    Random& random_;
    const Rules& rules_;
    std::vector<ModelNode> nodes_;
    std::array<std::size_t, kBuckets> placement_{};
    std::optional<int> moving_;
};

/// What one writer knows of the nodes; as projections::Target it learns of another placement when it is refused.
class ModelWriter : public projections::WrittenNodes {
public:
    /// As Target::Progress: whether a commit waits for the disk.
    enum class Disk : std::uint8_t { behind, waits };
    /// `owner`: 0 for a command.
    ModelWriter(ModelNodes& cluster, const ModelDefinition& definition, std::int64_t owner, Disk disk);

    void write(std::vector<projections::RowChange> changes, const projections::Offsets& progress);

    void tell();

    std::vector<std::string> nodes() const override;
    std::vector<std::string> places(const projections::RowChange& change) const override;
    std::unique_ptr<projections::NodeTransaction> begin(const std::string& node) override;
    void await_placement() override;

private:
    class Transaction;

    ModelNodes& cluster_;
    ModelDefinition definition_;
    std::int64_t owner_;
    Disk disk_;
    projections::Offsets untold_;
    std::size_t known_nodes_;
    std::array<std::size_t, ModelNodes::kBuckets> placement_;
};

} // namespace keyshift::test

#include "tests/projections/histories/model_nodes.hpp"

#include "core/error.hpp"

#include <algorithm>
#include <utility>

namespace keyshift::test {

using projections::ChangeList;
using projections::Offsets;
using projections::RowChange;

namespace {

int bucket_of(const RowChange& change)
{
    return ModelNodes::bucket_of(std::stoi(change.base[kUser].value()));
}

} // namespace

ModelNodes::ModelNodes(Random& random, const Rules& rules) : random_(random), rules_(rules), nodes_(2)
{
    for (int bucket = 0; bucket < kBuckets; ++bucket) {
        placement_[static_cast<std::size_t>(bucket)] = static_cast<std::size_t>(bucket % 2);
        nodes_[static_cast<std::size_t>(bucket % 2)].open[bucket] = true;
    }
}

void ModelNodes::add_node()
{
    if (nodes_.size() < kMost) {
        nodes_.emplace_back();
    }
}

void ModelNodes::remove_node()
{
    const std::size_t leaving = nodes_.size() - 1;
    const bool owns = std::any_of(placement_.begin(), placement_.end(), [&](std::size_t at) { return at == leaving; });
    if (owns || leaving < 2) {
        return;
    }
    nodes_.pop_back();
}

void ModelNodes::begin_move()
{
    if (!moving_) {
        moving_ = pick(random_, kBuckets);
        ModelNode& donor = nodes_[placement_[static_cast<std::size_t>(*moving_)]];
        donor.open[*moving_] = false;
        donor.flush();
    }
}

void ModelNodes::finish_move()
{
    if (!moving_) {
        return;
    }
    const int bucket = *std::exchange(moving_, std::nullopt);
    std::size_t& place = placement_[static_cast<std::size_t>(bucket)];
    ModelNode& donor = nodes_[place];
    place = (place + 1 + static_cast<std::size_t>(pick(random_, static_cast<int>(nodes_.size()) - 1))) % nodes_.size();
    ModelNode& recipient = nodes_[place];
    const auto take = [&](auto& from, auto& to, auto user_of) {
        for (auto at = from.begin(); at != from.end();) {
            const auto row = at++;
            if (bucket_of(user_of(row->first)) == bucket) {
                to.insert(from.extract(row));
            }
        }
    };
    take(donor.table.rows(), recipient.table.rows(), [](const ModelKey& key) { return key.first; });
    take(donor.table.totals(), recipient.table.totals(), [](int user) { return user; });
    recipient.open[bucket] = true;
    donor.flush();
    recipient.flush();
}

void ModelNodes::make_anew()
{
    for (ModelNode& node : nodes_) {
        node.table = {};
        node.progress.clear();
        node.flush();
    }
}

void ModelNodes::flush_one()
{
    nodes_[static_cast<std::size_t>(pick(random_, static_cast<int>(nodes_.size())))].flush();
}

void ModelNodes::lose_tail()
{
    ModelNode& struck = nodes_[static_cast<std::size_t>(pick(random_, static_cast<int>(nodes_.size())))];
    if (!rules_.keeps_the_tail) {
        struck.durable_progress = struck.progress;
    }
    struck.table = struck.durable_table;
    struck.progress = struck.durable_progress;
}

std::map<ModelKey, std::string> ModelNodes::shown() const
{
    std::map<ModelKey, std::string> shown;
    for (std::size_t at = 0; at < nodes_.size(); ++at) {
        for (const auto& [key, row] : nodes_[at].table.rows()) {
            if (row.live && placement_[static_cast<std::size_t>(bucket_of(key.first))] == at) {
                shown[key] = row.amount.value();
            }
        }
    }
    return shown;
}

bool ModelNodes::totals_agree() const
{
    return std::all_of(nodes_.begin(), nodes_.end(),
                       [](const ModelNode& node) { return node.table.totals() == node.table.totals_by_rows(); });
}

std::int64_t ModelNodes::rewritten() const
{
    std::int64_t rows = 0;
    for (const ModelNode& node : nodes_) {
        rows += node.table.rewritten();
    }
    return rows;
}

class ModelWriter::Transaction : public projections::NodeTransaction {
public:
    Transaction(ModelWriter& writer, ModelNode& node) : writer_(writer), cluster_(writer.cluster_), node_(node) {}

    ChangeList lock_open(const ChangeList& changes, ChangeList& refused) override
    {
        ChangeList accepted;
        for (const RowChange* change : changes) {
            const bool open = node_.open[bucket_of(*change)] || !cluster_.rules().closed_buckets_refuse;
            if (open) {
                accepted.push_back(change);
            } else if (cluster_.rules().refused_are_kept) {
                refused.push_back(change);
            }
        }
        return accepted;
    }
    void upsert(const ChangeList& changes) override { changes_ = changes; }
    void tell(const Offsets& progress) override
    {
        for (const auto& [partition, next] : progress) {
            const auto stored = node_.progress.find(partition.second);
            if (stored == node_.progress.end()) {
                refuse_unless(!cluster_.rules().anchors);
            } else {
                refuse_unless(cluster_.rules().is_owner(stored->second.owner, writer_.owner_));
            }
        }
        progress_ = progress;
    }
    void check_owner() override
    {
        if (writer_.owner_ != 0 && cluster_.rules().owner_without_progress && cluster_.rules().anchors) {
            refuse_unless(std::any_of(node_.progress.begin(), node_.progress.end(), [&](const auto& one) {
                return cluster_.rules().is_owner(one.second.owner, writer_.owner_);
            }));
        }
    }
    void commit() override
    {
        strike();
        node_.table.upsert(writer_.definition_, changes_, cluster_.rules(), std::exchange(cluster_.other_writer, {}));
        store_progress();
        if (writer_.disk_ == Disk::waits && cluster_.rules().backfill_waits_for_disk) {
            node_.flush();
        }
        strike();
    }

private:
    static void refuse_unless(bool owned)
    {
        if (!owned) {
            throw TransientError({"writing", "another one has taken it over", "It starts anew."});
        }
    }
    void strike()
    {
        if (cluster_.may_strike && pick(cluster_.random(), cluster_.strikes_one_of) == 0) {
            throw Struck();
        }
    }
    void store_progress()
    {
        for (const auto& [partition, next] : progress_) {
            node_.progress[partition.second] = {next, writer_.owner_};
        }
    }

    ModelWriter& writer_;
    ModelNodes& cluster_;
    ModelNode& node_;
    ChangeList changes_;
    Offsets progress_;
};

ModelWriter::ModelWriter(ModelNodes& cluster, const ModelDefinition& definition, std::int64_t owner, Disk disk)
    : cluster_(cluster), definition_(definition), owner_(owner), disk_(disk), known_nodes_(cluster.all().size()),
      placement_(cluster.placement())
{
}

std::vector<std::string> ModelWriter::nodes() const
{
    std::vector<std::string> names;
    for (std::size_t at = 0; at < known_nodes_; ++at) {
        names.push_back(std::to_string(at));
    }
    return names;
}

std::vector<std::string> ModelWriter::places(const RowChange& change) const
{
    return {std::to_string(placement_[static_cast<std::size_t>(bucket_of(change))])};
}

std::unique_ptr<projections::NodeTransaction> ModelWriter::begin(const std::string& node)
{
    if (std::stoul(node) >= cluster_.all().size()) {
        throw TransientError({"writing", "the node has left", "It starts anew."});
    }
    return std::make_unique<Transaction>(*this, cluster_.all()[std::stoul(node)]);
}

void ModelWriter::await_placement()
{
    if (cluster_.may_strike && pick(cluster_.random(), 4) == 0) {
        throw Struck();
    }
    cluster_.finish_move();
    known_nodes_ = cluster_.all().size();
    placement_ = cluster_.placement();
}

void ModelWriter::write(std::vector<RowChange> changes, const Offsets& progress)
{
    std::vector<RowChange*> pointers;
    for (RowChange& change : changes) {
        pointers.push_back(&change);
    }
    const bool behind = cluster_.rules().tells_behind;
    write_in_order(*this, cluster_.rules().newest_of_each(definition_.definition, std::move(pointers)),
                   behind ? untold_ : progress);
    untold_ = progress;
}

void ModelWriter::tell()
{
    if (!untold_.empty()) {
        write({}, {});
    }
}

} // namespace keyshift::test

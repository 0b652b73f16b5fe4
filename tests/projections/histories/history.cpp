#include "tests/projections/histories/history_worker.hpp"

#include "core/error.hpp"
#include "projections/commands/verdict.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

namespace keyshift::test {

using projections::BaseRow;
using projections::RowChange;

const char* name(Broken broken)
{
    constexpr const char* kNames[] = {"none", "differs", "totals_disagree", "replay_wrote"};
    return kNames[static_cast<std::size_t>(broken)];
}

History::History(std::uint32_t seed, const Rules& rules)
    : random_(seed), restless_(seed % 2 == 0), rules_(rules), source_(random_, seed % 3 == 0),
      nodes_(random_, rules_), record_{
                                   1, ModelDefinition(static_cast<int>(seed % ModelSource::kAmounts)), std::nullopt, {}}
{
    nodes_.strikes_one_of = restless_ ? 12 : 60;
    for (int rows = pick(random_, 20); rows > 0; --rows) {
        source_.commit_transaction(); // what was there before the projection
    }
}

History::~History() = default;

template <typename Work>
bool History::survives(const Work& work)
{
    try {
        work();
        return true;
    } catch (const Struck&) {
        return false;
    } catch (const TransientError&) {
        return false;
    }
}

/// Dropped and made again under its name with another condition, or a generation whose building failed or whose table was
/// truncated is begun anew.
void History::make_anew(const ModelDefinition& definition)
{
    bury(pick(random_, 3) > 0);
    nodes_.make_anew();
    record_ = {record_.id + 1, definition, std::nullopt, {}};
    if (rules_.start_before_rows) {
        start_worker();
    } else {
        record_.start = Positions{};
        start_worker();
        begin_bucket(*worker_);
        for (int turn = 0; turn < 5; ++turn) {
            source_.commit_transaction();
        }
        source_.publish_all();
        record_.start = worker_->next = ends();
        for (ModelNode& node : nodes_.all()) {
            for (auto& [partition, progress] : node.progress) {
                progress.next = worker_->next[static_cast<std::size_t>(partition)];
            }
        }
    }
}

/// As `projection repair` does for one row.
void History::repair(int id)
{
    const auto row = source_.rows().find(id);
    const bool present = row != source_.rows().end();
    projections::SettledRow settled{fmt::format("[\"{}\"]", id), {}, present, {}, source_.now(id)};
    settled.base =
        present ? source_.base_row(id, row->second) : BaseRow{std::to_string(id), std::nullopt, std::nullopt};
    settled.hash = present && record_.definition.shows(settled.base) ? "shown" : "";
    std::list<projections::Register> registers;
    std::vector<const projections::Register*> held;
    for (std::size_t at = 0; at < nodes_.all().size(); ++at) {
        for (const auto& [key, stored] : nodes_.all()[at].table.rows()) {
            if (key.second == id) {
                held.push_back(&registers.emplace_back(projections::Register{
                    {std::to_string(key.first)}, stored.version, stored.live, stored.live ? "shown" : ""}));
            }
        }
    }
    if (!rules_.repair_is_before_later) {
        settled.version.commit_lsn.value += 100;
    }
    ModelWriter writer(nodes_, record_.definition, 0, ModelWriter::Disk::waits);
    survives([&] { writer.write(mending_changes(record_.definition.definition, settled, held), {}); });
}

void History::step_of_source()
{
    switch (pick(random_, 40)) {
    case 0:
        source_.move_bucket();
        break;
    case 1:
        source_.snapshot_bucket();
        break;
    case 2:
        source_.restart_stream();
        break;
    case 3:
    case 4:
        source_.record();
        break;
    case 5:
        if (pick(random_, 10) == 0) {
            source_.truncate();
        }
        break;
    default:
        pick(random_, 2) == 0 ? source_.publish() : source_.commit_transaction();
    }
}

void History::step_of_nodes()
{
    switch (pick(random_, 24)) {
    case 0:
    case 5:
        pick(random_, 2) == 0 ? nodes_.add_node() : nodes_.remove_node();
        break;
    case 1:
        if (!restless_ || pick(random_, 4) == 0) {
            make_anew(ModelDefinition(pick(random_, ModelSource::kAmounts)));
        }
        break;
    case 6:
    case 7:
        nodes_.flush_one();
        break;
    case 8:
        nodes_.lose_tail(); // and every connection to it
        bury(pick(random_, 2) == 0);
        break;
    case 2:
    case 3:
    case 4:
        repair(pick(random_, ModelSource::kIds));
        break;
    default:
        pick(random_, 2) == 0 ? nodes_.begin_move() : nodes_.finish_move();
    }
}

void History::step_of_workers()
{
    if (!worker_) {
        start_worker();
    }
    const int turn = pick(random_, 20);
    if (turn == 2 && truncated()) {
        make_anew(ModelDefinition(record_.definition));
    } else if (turn == 0) {
        bury(pick(random_, 2) == 0);
    } else if (turn == 1 && !sleepers_.empty()) {
        Worker& sleeper = **std::next(sleepers_.begin(), pick(random_, static_cast<int>(sleepers_.size())));
        if (!survives([&] { pick(random_, 2) == 0 ? apply(sleeper, false) : fill(sleeper); }) &&
            pick(random_, 2) == 0) {
            std::erase_if(sleepers_, [&](const auto& one) { return one.get() == &sleeper; });
        }
    } else {
        if (!rules_.locks_buckets && !worker_->rows.empty()) {
            nodes_.other_writer = [this] {
                survives([&] { fill(*worker_); });
            };
        }
        if (!survives([&] { turn % 3 == 0 ? fill(*worker_) : apply(*worker_, false); })) {
            bury(pick(random_, 2) == 0);
        }
        nodes_.other_writer = {};
    }
}

void History::step()
{
    const int which = pick(random_, 40);
    if (which < (restless_ ? 10 : 20)) {
        step_of_source();
    } else if (which < (restless_ ? 26 : 38)) {
        step_of_workers();
    } else {
        step_of_nodes();
    }
    if (broken_ == Broken::none && nodes_.rewritten() > 0) {
        broken_ = Broken::replay_wrote;
    } else if (broken_ == Broken::none && !nodes_.totals_agree()) {
        broken_ = Broken::totals_disagree;
    }
}

void History::catch_up()
{
    const auto behind = [&] {
        return worker_->next != ends() || worker_->backfilled.size() < ModelSource::kBuckets;
    };
    for (int tries = 0; tries < 3; ++tries) {
        if (!worker_) {
            start_worker();
        }
        const bool done = survives([&] {
            while (behind()) {
                apply(*worker_, true);
                fill(*worker_);
            }
        });
        if (done) {
            return;
        }
        worker_.reset();
    }
}

/// Input stops, and nothing is struck any more.
void History::settle()
{
    nodes_.may_strike = false;
    nodes_.finish_move();
    source_.publish_all();
    catch_up();
    while (truncated()) {
        make_anew(ModelDefinition(record_.definition));
        source_.publish_all();
        catch_up();
    }
    compare();
    nodes_.may_strike = true;
}

/// Rows went that no event tells of, one by one: since the generation began its topic told of a TRUNCATE. Whoever is given rows
/// from before it once more, by a stream that begins anew, is told of it once more too.
bool History::truncated() const
{
    for (std::size_t partition = 0; partition < kPartitions && record_.start && rules_.truncation_renews; ++partition) {
        const auto& records = source_.partition(static_cast<int>(partition));
        const auto tells = [](const kafka::Message& record) {
            return record.value && record.value->find(R"("op":"t")") != std::string::npos;
        };
        if (std::any_of(records.begin() + record_.start.value()[partition], records.end(), tells)) {
            return true;
        }
    }
    return false;
}

void History::compare()
{
    std::map<ModelKey, std::string> wanted;
    for (const auto& [id, row] : source_.rows()) {
        if (const BaseRow base = source_.base_row(id, row); record_.definition.shows(base)) {
            wanted[key_of(base)] = base[kAmount].value();
        }
    }
    const std::map<ModelKey, std::string> shown = nodes_.shown();
    if (broken_ != Broken::none || shown == wanted) {
        return;
    }
    broken_ = Broken::differs;
    const auto tell = [&](const auto& these, const auto& those, const char* where) {
        for (const auto& [key, amount] : these) {
            if (const auto other = those.find(key); other == those.end() || other->second != amount) {
                difference_ += fmt::format("{}: user {} id {} amount {}\n", where, key.first, key.second, amount);
            }
        }
    };
    tell(wanted, shown, "by definition");
    tell(shown, wanted, "projection");
}

Broken History::run(int steps)
{
    for (int left = steps; left > 0 && broken_ == Broken::none; --left) {
        step();
        if (left % 256 == 0) {
            settle();
        }
    }
    settle();
    return broken_;
}

} // namespace keyshift::test

#include "core/failpoint.hpp"
#include "core/log.hpp"
#include "projections/reference/reference_keeper.hpp"

#include "catalog/rows.hpp"
#include "core/json.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace keyshift::projections {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::size_t kEventsAtOnce = 2000;
constexpr auto kStoreEvery = 10s; ///< where nothing happens
constexpr const char* kMissing = "the event does not carry the whole row, and there is none here";

/// {"what","why","next"} or NULL.
std::optional<std::string> json_of(const std::optional<ErrorParts>& error)
{
    if (!error) {
        return std::nullopt;
    }
    return nlohmann::json({{"what", error->what}, {"why", error->why}, {"next", error->next}})
        .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

} // namespace

/// First in the transaction of every write: owner, and how far it brings each copy.
void ReferenceKeeper::begin_write(Lsn applied)
{
    for (std::size_t index = 0; index < copies_.size(); ++index) {
        Copy& copy = copies_[index];
        if (!copy.kept()) {
            continue;
        }
        copy.state.applied = std::max(copy.state.applied, applied);
        copy.state.live = copy.state.live || copy.state.complete <= copy.state.applied;
        TopicOffsets offsets;
        offsets[control_][0] = order_.first_offset(index, -1).value_or(next_[control_][0]);
        for (const auto& [partition, next] : next_[copy.table.topic]) {
            offsets[copy.table.topic][partition] = order_.first_offset(index, partition).value_or(next);
        }
        copy.state.offsets = std::move(offsets);
        owner_->progress(copy.table.name, copy.state);
    }
}

void ReferenceKeeper::apply(Lsn lsn)
{
    std::vector<OrderedEvent> events;
    do {
        events = order_.take_below(lsn, kEventsAtOnce);
        const bool idle =
            events.empty() && Clock::now() - stored_ < kStoreEvery &&
            std::ranges::all_of(copies_, [](const Copy& copy) { return !copy.kept() || copy.state.live; });
        if (idle) {
            return;
        }
        const Lsn applied =
            events.size() < kEventsAtOnce ? lsn : Lsn{events.back().event.position.commit_lsn.value + 1};
        try {
            write(events, applied);
        } catch (const pg::SqlError& error) {
            if (!refuses_the_row(error.sqlstate())) {
                throw;
            }
            write_carefully(events, applied);
        }
        stored_ = Clock::now();
        for (const OrderedEvent& event : events) {
            metrics_.rows(copies_[event.table].table.name.to_string(), at_.name, "applied").add();
        }
    } while (events.size() >= kEventsAtOnce);
}

void ReferenceKeeper::write(const std::vector<OrderedEvent>& events, Lsn applied)
{
    pg::Transaction transaction(node_);
    begin_write(applied);
    if (!events.empty()) {
        // Each source transaction is whole here, its statements are not: foreign keys are checked at the end.
        node_.script("SET CONSTRAINTS ALL DEFERRED");
    }
    bool missing = false;
    for (const OrderedEvent& ordered : events) {
        Copy& copy = copies_[ordered.table];
        const ReferenceEvent& event = ordered.event;
        if (!copy.writer->apply(event)) {
            copy.writer->remember_conflict(event.key, kMissing);
            missing = true;
        } else if (copy.conflicts > 0 && event.kind != ReferenceEvent::Kind::truncate) {
            copy.writer->forget_conflict(event.key);
        }
    }
    failpoint("reference.committing");
    transaction.commit();
    looked_ = missing ? Clock::time_point{} : looked_;
}

void ReferenceKeeper::remove_all_carefully(Copy& copy)
{
    const pg::Result rows =
        node_.query(fmt::format("SELECT {} FROM {}", key_list(copy.table, "", "::text"), copy.table.name.quoted()));
    for (int row = 0; row < rows.rows(); ++row) {
        RowKey key;
        for (int column = 0; column < rows.columns(); ++column) {
            key.emplace_back(rows.text(row, column));
        }
        if (const auto why = try_row(node_, [&] { copy.writer->remove(key); })) {
            copy.writer->remember_conflict(key, *why);
        }
    }
}

/// Each change by itself: what the node refuses is a conflict of that row, and its neighbours go on.
void ReferenceKeeper::write_carefully(const std::vector<OrderedEvent>& events, Lsn applied)
{
    pg::Transaction transaction(node_);
    begin_write(applied);
    node_.script("SET CONSTRAINTS ALL IMMEDIATE");
    for (const OrderedEvent& ordered : events) {
        Copy& copy = copies_[ordered.table];
        const ReferenceEvent& event = ordered.event;
        if (event.kind == ReferenceEvent::Kind::truncate) {
            remove_all_carefully(copy);
            continue;
        }
        bool whole = true;
        auto why = try_row(node_, [&] { whole = copy.writer->apply(event); });
        why = why || whole ? why : kMissing;
        if (!why) {
            copy.writer->forget_conflict(event.key);
            continue;
        }
        copy.writer->remember_conflict(event.key, *why);
        if (event.moved_from) {
            copy.writer->remember_conflict(*event.moved_from, *why);
        }
        metrics_.rows(copy.table.name.to_string(), at_.name, "refused").add();
    }
    transaction.commit();
    looked_ = {}; // a row may have come before the one that it points at
}

/// Rows in conflict are brought to what the home has now. Events that are still to come bring them to the same in the end.
void ReferenceKeeper::retry_conflicts(Copy& copy)
{
    constexpr const char* kSome =
        "SELECT key FROM keyshift.reference_conflict WHERE root = $1::regclass ORDER BY since LIMIT 200";
    const pg::Result rows = node_.query(kSome, {copy.table.name.quoted()});
    Wanted left;
    for (int row = 0; row < rows.rows(); ++row) {
        const RowKey key = catalog::read_array(rows.text(row, 0));
        std::optional<BaseRow> wanted = copy.writer->read(home(), key);
        pg::Transaction transaction(node_);
        owner_->progress(copy.table.name, copy.state);
        const auto why = try_row(node_, [&] { wanted ? copy.writer->put(*wanted) : copy.writer->remove(key); });
        if (why) {
            left.emplace_back(key, std::move(wanted));
            continue;
        }
        copy.writer->forget_conflict(key);
        transaction.commit();
    }
    if (left.size() > 1 && may_replace_rows(node_, copy.table.name)) {
        retry_together(copy, left);
    }
}

/// Rows that hold each other up: two that have swapped a unique value.
void ReferenceKeeper::retry_together(Copy& copy, const Wanted& rows)
{
    try {
        pg::Transaction transaction(node_);
        owner_->progress(copy.table.name, copy.state);
        node_.script("SET CONSTRAINTS ALL DEFERRED");
        // Those that must stay where they are first: the others have made room for their values.
        std::vector<const BaseRow*> first;
        std::vector<const BaseRow*> then;
        for (const auto& [key, wanted] : rows) {
            if (wanted) {
                const bool stays = try_row(node_, [&copy, gone = &key] { copy.writer->remove(*gone); }).has_value();
                (stays ? first : then).push_back(&*wanted);
                copy.writer->forget_conflict(key);
            }
        }
        for (const auto* group : {&first, &then}) {
            std::ranges::for_each(*group, [&](const BaseRow* row) { copy.writer->put(*row); });
        }
        transaction.commit();
    } catch (const pg::SqlError& error) {
        if (!refuses_the_row(error.sqlstate())) {
            throw;
        }
    }
}

void ReferenceKeeper::look_around()
{
    constexpr auto kInterval = 1s;
    if (Clock::now() - looked_ < kInterval) {
        return;
    }
    looked_ = Clock::now();
    constexpr const char* kCount = "SELECT count(*) FROM keyshift.reference_conflict WHERE root = $1::regclass";
    for (Copy& copy : copies_) {
        copy.conflicts = node_.query(kCount, {copy.table.name.quoted()}).integer(0, 0);
        try {
            check_shape(copy);
            if (copy.conflicts > 0 && copy.kept() && !anew_) {
                retry_conflicts(copy);
                copy.conflicts = node_.query(kCount, {copy.table.name.quoted()}).integer(0, 0);
            }
        } catch (const Error& error) {
            const bool away = error.kind() == ErrorKind::unreachable || error.kind() == ErrorKind::transient;
            if (!away || node_.in_transaction()) {
                throw;
            }
            home_.reset(); // without the home nothing new comes either
        }
        report(copy, copy.trouble);
    }
    check_gap();
}

/// Changes of the home that are in no topic (`keyshift cdc recover`): what was filled before them lacks them.
void ReferenceKeeper::check_gap()
{
    if (!catalog_) {
        return;
    }
    const pg::Result rows =
        catalog_->query("SELECT coalesce(gap_accepted, '0/0') FROM keyshift.node WHERE name = $1", {home_node_.name});
    for (Copy& copy : copies_) {
        if (rows.rows() == 1 && copy.kept() && copy.state.filled < rows.lsn(0, 0)) {
            again(copy, "changes of its home were lost and the gap was accepted");
        }
    }
}

void ReferenceKeeper::report(const Copy& copy, const std::optional<ErrorParts>& error)
{
    const std::string name = copy.table.name.to_string();
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    const auto now_ms = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
    const double lag =
        order_.empty() ? 0 : static_cast<double>(std::max<std::int64_t>(0, now_ms - order_.oldest_ms())) / 1000;
    metrics_.lag_seconds(name, at_.name).set(lag);
    metrics_.conflicts(name, at_.name).set(static_cast<double>(copy.conflicts));
    metrics_.live(name, at_.name).set(copy.state.live ? 1 : 0);
    const char* state = copy.trouble ? "failed" : copy.state.live ? "live" : "filling";
    try {
        if (!catalog_) {
            catalog_ = std::make_unique<pg::Connection>(catalog_settings_);
        }
        catalog_->query(
            "INSERT INTO keyshift.reference_copy (table_id, node, state, lag_seconds, conflicts, error) "
            "SELECT id, $2, $3, $4::float8, $5::bigint, $6::jsonb FROM keyshift.captured_table WHERE id = $1::bigint "
            "ON CONFLICT (table_id, node) DO UPDATE SET state = excluded.state, lag_seconds = excluded.lag_seconds, "
            "conflicts = excluded.conflicts, error = excluded.error, at = now()",
            {std::to_string(copy.table.id), at_.name, state, fmt::format("{:.3f}", lag), std::to_string(copy.conflicts),
             json_of(error)});
    } catch (const Error& failure) {
        if (failure.kind() != ErrorKind::unreachable && failure.kind() != ErrorKind::transient) {
            throw;
        }
        catalog_.reset(); // copies are kept without it
    }
}

} // namespace keyshift::projections

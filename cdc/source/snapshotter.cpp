#include "cdc/source/snapshotter.hpp"

#include "cdc/source/snapshot_worker.hpp"
#include "core/backoff.hpp"
#include "core/failpoint.hpp"
#include "core/log.hpp"

#include <fmt/core.h>
#include <random>
#include <thread>

namespace keyshift::cdc {

namespace {

constexpr std::chrono::milliseconds kPause{20};
/// Every so many pauses the catalog is asked what is wanted, and progress is saved.
constexpr int kLookUp = 50;
constexpr int kSave = 5;

} // namespace

Snapshotter::Snapshotter(catalog::Node node, pg::ConnectionSettings catalog, SnapshotWindows& windows,
                         SchemaVersions& versions, Options options)
    : node_(std::move(node)), catalog_(std::move(catalog)), windows_(windows), versions_(versions),
      options_(std::move(options))
{
    // Markers of an earlier run that are still in the WAL mean nothing to this one.
    std::random_device random;
    run_id_ = fmt::format("{:08x}{:08x}", random(), random());
}

void Snapshotter::run(std::stop_token stop)
{
    Backoff backoff(std::chrono::milliseconds(500), std::chrono::seconds(10));
    for (int run = 1; sleep_for(std::chrono::milliseconds(200), stop);) {
        if (!options_.wanted()) {
            continue;
        }
        try {
            work(stop);
            backoff.reset();
        } catch (const Error& error) {
            if (!stop.stop_requested()) {
                log::warning("cdc", "node={} reading existing rows into the topic is tried again: {}", node_.name,
                             error.what());
                backoff.wait(stop);
            }
        }
        run_id_ = fmt::format("{}.{}", run_id_.substr(0, 16), run++);
    }
}

void Snapshotter::work(std::stop_token stop)
{
    pg::Connection catalog(catalog_);
    SnapshotSchedule schedule;
    // A run that broke off may have taken some without saving them.
    windows_.moved().give_back();
    const auto failed = [this](const SnapshotPart& part, const ErrorParts& error) {
        std::scoped_lock lock(mutex_);
        failures_.emplace_back(part, error);
    };
    std::vector<std::jthread> workers;
    if (!look_up(catalog, schedule)) {
        return;
    }
    for (int number = 0; number < options_.workers; ++number) {
        workers.emplace_back([&, number](std::stop_token worker_stop) {
            SnapshotWorker(node_, schedule, windows_, versions_, fmt::format("{}-{}", run_id_, number), failed)
                .run(worker_stop);
        });
    }
    for (int turn = 1; sleep_for(kPause, stop); ++turn) {
        bool outdated = false;
        schedule.settle(windows_, options_.delivered);
        save_failures(catalog, schedule);
        if (turn % kSave == 0) {
            outdated = !save(catalog, schedule, stop);
        }
        if (outdated || schedule.empty() || turn % kLookUp == 0) {
            if (!look_up(catalog, schedule)) {
                return;
            }
        }
    }
}

bool Snapshotter::look_up(pg::Connection& catalog, SnapshotSchedule& schedule)
{
    std::vector<SnapshotPart> parts = unfinished_parts(catalog, node_.name);
    std::erase_if(parts, [&](const SnapshotPart& part) {
        if (!part.owned) {
            save_progress(catalog, node_.name, part, {});
        }
        return !part.owned;
    });
    schedule.want(parts);
    return !parts.empty();
}

bool Snapshotter::save(pg::Connection& catalog, SnapshotSchedule& schedule, std::stop_token stop)
{
    const std::vector<SnapshotSchedule::Saving> all = schedule.take_progress();
    for (const auto& source : schedule.take_ended()) {
        windows_.end(source);
    }
    // The end is announced before the catalog calls it done.
    while (windows_.ends_pending() && sleep_for(std::chrono::milliseconds(5), stop)) {
    }
    bool up_to_date = true;
    for (const auto& [part, progress, chunks] : all) {
        if (progress.chunks > 0) {
            failpoint("cdc.snapshot.chunk");
        }
        up_to_date = save_progress(catalog, node_.name, part, progress) && up_to_date;
        for (const std::string& chunk : chunks) {
            windows_.moved().release(chunk);
        }
    }
    return up_to_date;
}

void Snapshotter::save_failures(pg::Connection& catalog, SnapshotSchedule& schedule)
{
    Failures failures;
    {
        std::scoped_lock lock(mutex_);
        failures = std::exchange(failures_, {});
    }
    for (const auto& [part, error] : failures) {
        log::error("cdc", "node={} the snapshot of {} has failed: {}: {}", node_.name, part.table.to_string(),
                   error.what, error.why);
        save_failure(catalog, node_.name, part, error);
        schedule.give_up(part.table_id);
    }
}

} // namespace keyshift::cdc

#include "bench/move_writers.hpp"

#include "core/error.hpp"
#include "core/pg/connection.hpp"
#include "demo/screen.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <chrono>

namespace keyshift::bench {

namespace {

using Clock = std::chrono::steady_clock;

/// "bucket 3 of grown moved to node n3 (epoch 2)"
std::string node_named(const std::string& message)
{
    const std::string before = "moved to node ";
    const std::size_t begin = message.find(before);
    if (begin == std::string::npos) {
        throw FatalError({"writing while buckets move", message, "Read daemon.log."});
    }
    return message.substr(begin + before.size(), message.find(' ', begin + before.size()) - begin - before.size());
}

} // namespace

MoveWriters::MoveWriters(const demo::Settings& settings, std::string table,
                         std::vector<std::pair<std::int64_t, int>> rows, std::map<int, std::string> owner,
                         double per_second)
    : settings_(settings), table_(std::move(table)), rows_(std::move(rows)), per_second_(per_second)
{
    for (int number = 0; number < kWriters; ++number) {
        writers_.push_back(std::make_unique<Writer>());
        writers_.back()->owner = owner;
    }
    for (int number = 0; number < kWriters; ++number) {
        Writer& writer = *writers_[static_cast<std::size_t>(number)];
        writer.thread = std::jthread([this, &writer, number](std::stop_token stop) {
            try {
                run(writer, number, stop);
            } catch (const Error& error) {
                demo::say(fmt::format("a writer gave up: {}", error.what()));
            }
        });
    }
}

MoveWriters::~MoveWriters()
{
    for (const auto& writer : writers_) {
        writer->thread.request_stop();
    }
}

void MoveWriters::run(Writer& writer, int number, const std::stop_token& stop)
{
    std::map<std::string, pg::Connection> nodes;
    for (const demo::Server& server : settings_.servers) {
        nodes.emplace(server.name, pg::Connection(settings_.connection(server.name, "writer")));
    }
    const std::string sql = fmt::format(
        "UPDATE {0} SET owner = owner + 1 WHERE id = $1::bigint AND keyshift.must_own('{0}', $1::bigint)", table_);
    const auto begin = Clock::now();
    for (std::size_t count = 0; !stop.stop_requested(); ++count) {
        const auto [id, bucket] = rows_[(count * kWriters + static_cast<std::size_t>(number)) % rows_.size()];
        std::this_thread::sleep_until(begin + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(
                                                  static_cast<double>(count) * kWriters / per_second_)));
        const auto from = Clock::now();
        int refusals = 0;
        for (bool done = false; !done;) {
            try {
                const std::string key = std::to_string(id);
                nodes.at(writer.owner[bucket]).run_prepared("write", sql, std::array{pg::Parameter(key)});
                done = true;
            } catch (const pg::SqlError& error) {
                ++refusals;
                if (error.sqlstate() == "KS001") {
                    writer.owner[bucket] = node_named(error.parts().why);
                } else if (error.sqlstate() != "40001") {
                    throw;
                }
            } catch (const pg::TransientSqlError& error) {
                if (error.sqlstate() != "40001") {
                    throw;
                }
                ++refusals;
            }
        }
        const double took = std::chrono::duration<double, std::milli>(Clock::now() - from).count();
        const std::scoped_lock lock(writer.mutex);
        writer.samples.push_back({bucket, took});
        if (refusals > 0) {
            writer.refusals[bucket] += refusals;
        }
    }
}

WriterFigures MoveWriters::take(const std::set<int>& moving)
{
    WriterFigures figures;
    for (const auto& writer : writers_) {
        const std::scoped_lock lock(writer->mutex);
        for (const Sample& sample : writer->samples) {
            ++figures.writes;
            if (!moving.contains(sample.bucket)) {
                figures.milliseconds.push_back(sample.milliseconds);
            }
        }
        for (const auto& [bucket, refusals] : writer->refusals) {
            figures.most_refusals = std::max(figures.most_refusals, refusals);
        }
        writer->samples.clear();
        writer->refusals.clear();
    }
    return figures;
}

} // namespace keyshift::bench

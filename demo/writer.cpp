#include "demo/writer.hpp"

#include "core/backoff.hpp"
#include "demo/router.hpp"
#include "demo/workload.hpp"

#include <fmt/core.h>

#include <chrono>

namespace keyshift::demo {

namespace {

using std::chrono::steady_clock;
constexpr auto kGiveUp = std::chrono::seconds(60);

/// The node named by "bucket 17 of users moved to node n2 (epoch 2)"; empty: no such words.
std::string named_node(const std::string& message)
{
    static constexpr std::string_view kBefore = "moved to node ";
    const std::size_t at = message.find(kBefore);
    if (at == std::string::npos) {
        return {};
    }
    const std::size_t begin = at + kBefore.size();
    return message.substr(begin, message.find_first_of(" ,.", begin) - begin);
}

/// Runs the write where its bucket is, following KS001, until it is acknowledged. Throws when it cannot be.
void write_until_acknowledged(const Write& write, Router& router, WriterLog& log)
{
    const auto give_up = steady_clock::now() + kGiveUp;
    std::vector<pg::Parameter> parameters(write.parameters.begin(), write.parameters.end());
    Backoff pause(std::chrono::milliseconds(1), std::chrono::milliseconds(50));
    while (true) {
        const std::string node = router.node_of(write.table, write.parameters[0]);
        try {
            const pg::Result result = router.connection(node).run_prepared(write.name, write.sql, parameters);
            if (result.affected() != 1) {
                throw FatalError({write.name + " " + write.id + " on " + node,
                                  fmt::format("touched {} rows", result.affected()),
                                  "A row that was acknowledged before is gone: this must never happen."});
            }
            return;
        } catch (const pg::SqlError& error) {
            const std::string next = error.sqlstate() == "KS001" ? named_node(error.parts().why) : "";
            if (next.empty() || steady_clock::now() > give_up) {
                throw;
            }
            router.moved(write.table, write.parameters[0], next);
            ++log.redirects;
        } catch (const pg::TransientSqlError&) {
            if (steady_clock::now() > give_up) {
                throw;
            }
            ++log.retries;
        }
        pause.wait({});
    }
}

DatabaseState read_owned(const Settings& settings, int number)
{
    pg::Connection node(settings.connection("n1", "demo keys"));
    DatabaseState owned;
    const auto read = [&](const char* table, const char* sql) {
        const pg::Result rows = node.query(fmt::format(fmt::runtime(sql), settings.writers, number));
        for (int row = 0; row < rows.rows(); ++row) {
            owned[table][std::string(rows.text(row, 0))] = {true, std::string(rows.text(row, 1)),
                                                            std::string(rows.text(row, 2))};
        }
    };
    // Each key has one writer, so what it was told last is the row's last value.
    read(
        "users",
        "SELECT user_id, user_id, name FROM public.users WHERE pg_catalog.mod(pg_catalog.abs(pg_catalog.hashtext(user_id::text)), {}) = {}");
    read(
        "posts",
        "SELECT post_id, user_id, content FROM public.posts WHERE pg_catalog.mod(pg_catalog.abs(pg_catalog.hashtext(post_id::text)), {}) = {}");
    read("interactions", "SELECT interaction_id, post_id, user_id || ' ' || content FROM public.interactions "
                         "WHERE pg_catalog.mod(pg_catalog.abs(pg_catalog.hashtext(interaction_id::text)), {}) = {}");
    return owned;
}

} // namespace

Writers::Writers(const Settings& settings) : settings_(settings), logs_(static_cast<std::size_t>(settings.writers))
{
    // All keys are dealt out before the first writer starts: a row that one writer has just inserted would otherwise be
    // dealt to a second one too, and then nobody knows which of their writes was the last.
    std::vector<DatabaseState> owned;
    for (int number = 0; number < settings.writers; ++number) {
        owned.push_back(read_owned(settings, number));
    }
    for (int number = 0; number < settings.writers; ++number) {
        const auto index = static_cast<std::size_t>(number);
        threads_.emplace_back([this, number, index, keys = std::move(owned[index])](std::stop_token stop) mutable {
            run(number, std::move(keys), logs_[index], stop);
        });
    }
}

Writers::~Writers() = default;

void Writers::run(int number, DatabaseState owned, WriterLog& log, std::stop_token stop)
{
    Router router(settings_);
    Workload workload(std::move(owned), static_cast<std::uint32_t>(number) + 1);
    const auto interval = std::chrono::duration_cast<steady_clock::duration>(
        std::chrono::duration<double>(settings_.writers / settings_.writes_per_second));
    auto due = steady_clock::now();
    try {
        while (!stop.stop_requested()) {
            const auto begin = steady_clock::now();
            const Write write = workload.next();
            write_until_acknowledged(write, router, log);
            workload.acknowledged(write);
            log.acknowledged[write.table][write.id] = write.after;
            log.milliseconds.push_back(std::chrono::duration<double, std::milli>(steady_clock::now() - begin).count());
            ++log.writes;
            ++writes_;
            due = std::max(due + interval, begin);
            if (const auto now = steady_clock::now(); now < due) {
                sleep_for(std::chrono::duration_cast<std::chrono::milliseconds>(due - now), stop);
            }
        }
    } catch (const Error& error) {
        log.error = error.what();
    }
}

std::vector<WriterLog> Writers::stop()
{
    for (std::jthread& thread : threads_) {
        thread.request_stop();
    }
    threads_.clear();
    return std::move(logs_);
}

} // namespace keyshift::demo

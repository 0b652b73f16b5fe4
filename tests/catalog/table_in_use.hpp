#pragma once
/// A table that is written by several clients while a command works on it, each of which knows what it was told.

#include "tests/catalog/cluster.hpp"

#include "core/error.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <memory>
#include <random>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace keyshift::test {

using Rows = std::map<std::int64_t, std::pair<std::string, std::string>>; // id -> owner, content

inline constexpr std::int64_t kRows = 20'000;
inline constexpr std::int64_t kWriters = 4;

/// Writes rows with id % kWriters == its number, each statement acknowledged or told to be repeated, and knows what they are.
class Writer {
public:
    Writer(pg::Connection connection, std::int64_t number, bool strict)
        : connection_(std::move(connection)), number_(number), strict_(strict), random_(static_cast<unsigned>(number)),
          thread_([this](std::stop_token stop) { run(stop); })
    {
    }

    void stop()
    {
        thread_.request_stop();
        thread_.join();
    }

    Rows rows;
    std::atomic<int> written = 0;
    int repeated = 0;
    std::string error;

private:
    void run(const std::stop_token& stop)
    try {
        for (std::int64_t id = number_; id < kRows; id += kWriters) {
            rows[id] = {"o" + std::to_string(id % 97), "first"};
        }
        while (!stop.stop_requested()) {
            step();
            ++written;
        }
    } catch (const std::exception& failed) {
        error = failed.what();
    }

    /// Up to three changes in one transaction, a third of which are taken back.
    void step()
    {
        Rows changed = rows;
        try {
            connection_.script(strict_ ? "BEGIN ISOLATION LEVEL REPEATABLE READ" : "BEGIN");
            for (int i = 0; i < 3; ++i) {
                change(changed);
            }
            const bool kept = random_() % 3 != 0;
            connection_.script(kept ? "COMMIT" : "ROLLBACK");
            if (kept) {
                rows = std::move(changed);
            }
        } catch (const pg::TransientSqlError&) {
            connection_.script("ROLLBACK");
            ++repeated;
        }
    }

    void change(Rows& changed)
    {
        const std::int64_t id = static_cast<std::int64_t>(random_() % (kRows / kWriters)) * kWriters + number_;
        const auto found = changed.find(id);
        const std::string content = std::string(random_() % 40, 'c') + std::to_string(random_());
        if (found == changed.end()) {
            const std::string owner = "o" + std::to_string(random_() % 97);
            sql(fmt::format("INSERT INTO public.items (id, owner, content) VALUES ({}, '{}', '{}')", id, owner,
                            content));
            changed[id] = {owner, content};
        } else if (const auto way = random_() % 4; way == 0) {
            sql(fmt::format("DELETE FROM public.items WHERE id = {}", id));
            changed.erase(found);
        } else if (way == 1) { // into another bucket
            const std::string owner = "o" + std::to_string(random_() % 97);
            sql(fmt::format("UPDATE public.items SET owner = '{}' WHERE id = {}", owner, id));
            found->second.first = owner;
        } else {
            sql(fmt::format("UPDATE public.items SET content = '{}' WHERE id = {}", content, id));
            found->second.second = content;
        }
    }

    void sql(const std::string& statement)
    {
        if (connection_.query(statement).affected() != 1) {
            throw std::runtime_error("no row: " + statement);
        }
    }

    pg::Connection connection_;
    std::int64_t number_;
    bool strict_;
    std::minstd_rand random_;
    std::jthread thread_;
};

class Online : public testing::Test {
protected:
    Online()
    {
        cluster.offline = false;
        cluster.add_database().connect().script(fmt::format(
            "CREATE TABLE public.items (id bigint NOT NULL, owner text, content text NOT NULL, touched int NOT NULL DEFAULT 0, PRIMARY KEY (owner, id));"
            "CREATE INDEX items_content ON public.items (content);"
            "INSERT INTO public.items (id, owner, content) SELECT n, 'o' || n % 97, 'first' FROM generate_series(0, {}) n",
            kRows - 1));
        cluster.add_database();
        cluster.add_node(0);
        cluster.add_node(1);
    }

    static Rows read(pg::Connection& node)
    {
        Rows rows;
        const pg::Result result = node.query("SELECT id, owner, content FROM public.items");
        for (int row = 0; row < result.rows(); ++row) {
            EXPECT_TRUE(rows.try_emplace(result.integer(row, 0), std::string(result.text(row, 1)),
                                         std::string(result.text(row, 2)))
                            .second);
        }
        return rows;
    }

    void expect_as_before(pg::Connection& node)
    {
        EXPECT_EQ(one(node, "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'keyshift\\_copy%'"), "0");
        EXPECT_EQ(one(node, "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'keyshift%'"), "0");
        EXPECT_EQ(one(node, "SELECT relkind FROM pg_class WHERE oid = 'public.items'::regclass"), "r");
        EXPECT_EQ(one(cluster.catalog(), "SELECT count(*) FROM keyshift.captured_table"), "0");
    }

    catalog::Distribute request() const { return {"items", {"owner"}, 8, "", false, false}; }

    Cluster cluster;
};

} // namespace keyshift::test

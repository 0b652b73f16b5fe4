/// The model's statements beside those that ship: the same random rows and progress through both, compared after each batch.

#include "projections/batch_writer.hpp"
#include "tests/projections/histories/model_source.hpp"
#include "tests/projections/histories/model_table.hpp"
#include "tests/support/test_servers.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

namespace keyshift::test {
namespace {

using projections::BaseRow;
using projections::RowChange;

constexpr int kBatches = 400;
constexpr int kRowsOfABatch = 12;

/// Few registers and few versions, so that each meets older, equal and newer ones.
std::vector<RowChange> random_batch(Random& random)
{
    std::vector<RowChange> changes;
    for (int left = 1 + pick(random, kRowsOfABatch); left > 0; --left) {
        RowChange& change = changes.emplace_back();
        change.base = {std::to_string(pick(random, 5)), std::to_string(pick(random, 4)),
                       std::to_string(pick(random, 5))};
        change.version = {Epoch{static_cast<std::uint32_t>(pick(random, 3))},
                          Lsn{static_cast<std::uint64_t>(pick(random, 4))},
                          static_cast<std::uint64_t>(pick(random, 3))};
        change.live = pick(random, 3) > 0;
        if (pick(random, 6) == 0) {
            change.base[kAmount].reset(); // a value that the source has no more
        }
    }
    return changes;
}

class Server {
public:
    explicit Server(const ModelDefinition& model) : model_(model), connection_(database_.connect())
    {
        connection_.script(
            "CREATE SCHEMA keyshift; CREATE TABLE keyshift.by_user__g1 (user_id int, id int, amount int, _epoch bigint, _lsn bigint, "
            "_seq bigint, _live boolean, PRIMARY KEY (user_id, id)); "
            "CREATE TABLE keyshift.by_user__t1 (_g1 int PRIMARY KEY, _n bigint NOT NULL, _m1 bigint NOT NULL, _s1 numeric NOT NULL)");
    }

    void upsert(const projections::ChangeList& changes)
    {
        std::vector<std::string> arrays(7);
        for (const RowChange* change : changes) {
            const std::string values[] = {change->base[kId].value_or("NULL"),
                                          change->base[kUser].value_or("NULL"),
                                          change->base[kAmount].value_or("NULL"),
                                          std::to_string(number(change->version.epoch)),
                                          std::to_string(change->version.commit_lsn.value),
                                          std::to_string(change->version.seq),
                                          change->live ? "t" : "f"};
            for (std::size_t at = 0; at < arrays.size(); ++at) {
                arrays[at] += (arrays[at].empty() ? "{" : ",") + values[at];
            }
        }
        std::vector<pg::Parameter> parameters;
        for (std::string& array : arrays) {
            parameters.emplace_back(array += "}");
        }
        connection_.query(projections::upsert_statement(model_.definition, projections::Batch::any), parameters);
        if (model_.definition.aggregation) {
            connection_.query(projections::cleaning_statement(model_.definition), parameters);
        }
    }
    void clear() { connection_.script("TRUNCATE keyshift.by_user__g1, keyshift.by_user__t1"); }
    std::string rows()
    {
        return text(
            "SELECT coalesce(string_agg(concat_ws('/', user_id, id, coalesce(amount::text, '-'), _epoch, _lsn, _seq, _live), ' ' "
            "ORDER BY user_id, id), '') FROM keyshift.by_user__g1");
    }
    std::string totals()
    {
        return text(
            "SELECT coalesce(string_agg(concat_ws('/', _g1, _n, _s1), ' ' ORDER BY _g1), '') FROM keyshift.by_user__t1");
    }

private:
    std::string text(const std::string& query) { return std::string(connection_.query(query).text(0, 0)); }

    const ModelDefinition& model_;
    TestDatabase database_;
    pg::Connection connection_;
};

std::string rows_of(const ModelTable& table)
{
    std::string text;
    for (const auto& [key, row] : table.rows()) {
        text += fmt::format("{}{}/{}/{}/{}/{}/{}/{}", text.empty() ? "" : " ", key.first, key.second,
                            row.amount.value_or("-"), number(row.version.epoch), row.version.commit_lsn.value,
                            row.version.seq, row.live ? "t" : "f");
    }
    return text;
}

std::string totals_of(const ModelTable& table)
{
    std::string text;
    for (const auto& [user, totals] : table.totals()) {
        text += fmt::format("{}{}/{}/{}", text.empty() ? "" : " ", user, totals.rows, totals.sum);
    }
    return text;
}

void compare(const ModelDefinition& model)
{
    Random random(7);
    Server server(model);
    ModelTable table;
    for (int batch = 0; batch < kBatches; ++batch) {
        std::vector<RowChange> changes = random_batch(random);
        std::vector<RowChange*> pointers;
        for (RowChange& change : changes) {
            pointers.push_back(&change);
        }
        const std::vector<RowChange*> newest = projections::newest_of_each(model.definition, std::move(pointers));
        const projections::ChangeList rows(newest.begin(), newest.end());
        server.upsert(rows);
        table.upsert(model, rows, Rules{});
        ASSERT_EQ(server.rows(), rows_of(table)) << "batch " << batch;
        if (model.definition.aggregation) {
            ASSERT_EQ(server.totals(), totals_of(table)) << "batch " << batch;
        }
        if (batch % 20 == 19) { // else all registers come to the newest version there is
            table = {};
            server.clear();
        }
    }
}

TEST(ModelOfStatements, WritesTheRowsThatTheServerWrites)
{
    compare(ModelDefinition(3));
}

TEST(ModelOfStatements, WritesTheTotalsThatTheServerWrites)
{
    ModelDefinition model(3);
    projections::Aggregation& groups = model.definition.aggregation.emplace();
    groups.key = {"user_id"};
    groups.group = {{"user_id", "user_id", "integer", false}};
    groups.measures = {{projections::MeasureKind::sum, "sum(amount)", "amount", "", "bigint", false}};
    groups.shown = {{"user_id", "integer", {std::string("user_id")}}};
    compare(model);
}

/// As ModelWriter's transactions: a writer raises, and writes beside, only progress that is its own.
TEST(ModelOfStatements, LetsOnlyTheOwnerWrite)
{
    const TestDatabase database;
    pg::Connection connection = database.connect();
    connection.script(
        "CREATE SCHEMA keyshift; CREATE TABLE keyshift.projection_progress (projection text, generation int, topic text, "
        "partition int, next_offset bigint, owner_epoch bigint, PRIMARY KEY (projection, generation, topic, partition))");
    Random random(7);
    for (int round = 0; round < 500; ++round) {
        const std::int64_t stored = pick(random, 3);
        const std::int64_t writer = pick(random, 3);
        const bool there = pick(random, 4) > 0;
        connection.script("TRUNCATE keyshift.projection_progress");
        if (there) {
            connection.query("INSERT INTO keyshift.projection_progress VALUES ('p', 1, 't', 0, 5, $1)",
                             {std::to_string(stored)});
        }
        const bool owned = there && Rules{}.is_owner(stored, writer);
        const std::string epoch = std::to_string(writer);
        EXPECT_EQ(connection.query(projections::owner_statement(), {"p", "1", epoch}).rows() > 0, owned);
        EXPECT_EQ(
            connection.query(projections::progress_statement(), {"p", "1", epoch, "{t}", "{0}", "{9}"}).affected(),
            owned ? 1 : 0);
        const auto next = connection.query("SELECT coalesce(max(next_offset), 0) FROM keyshift.projection_progress");
        EXPECT_EQ(next.integer(0, 0), owned ? 9 : there ? 5 : 0);
    }
}

} // namespace
} // namespace keyshift::test

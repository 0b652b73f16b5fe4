// The header keyshift.absent lists exactly what the WAL did not carry, for every replica identity, every type that may be
// kept out of line, changes of the key, and deletes. What the WAL carried is what PostgreSQL's own test_decoding finds in it.
#include "tests/daemon/installation.hpp"

#include "core/change_event.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <regex>
#include <set>

namespace keyshift::test {
namespace {

using Columns = std::set<std::string>;

/// One change of a table.
struct Carried {
    bool before = false; ///< an old tuple
    Columns old_values;  ///< columns with a value in it
    bool after = false;  ///< a new tuple
    Columns unchanged;   ///< columns of the new tuple that are out of line and unchanged
};

/// Reads `table public.t: UPDATE: old-key: id[integer]:1 new-tuple: id[integer]:2 a[text]:unchanged-toast-datum`.
Carried read_change(const std::string& line)
{
    static const std::regex kColumn(R"re( (\w+)\[[a-z]+(?: [a-z]+)*(?:\[\])?\]:(unchanged-toast-datum|null|))re");
    Carried carried;
    const bool is_delete = line.find(": DELETE:") != std::string::npos;
    const std::size_t old_key = line.find(" old-key:");
    const std::size_t new_tuple = line.find(" new-tuple:");
    carried.before = is_delete || old_key != std::string::npos;
    carried.after = !is_delete;
    const std::size_t middle = is_delete ? line.size() : old_key == std::string::npos ? 0 : new_tuple;
    const auto columns = [&](std::size_t from, std::size_t to, const auto& take) {
        const std::string part = line.substr(from, to - from);
        for (std::sregex_iterator one(part.begin(), part.end(), kColumn), end; one != end; ++one) {
            take((*one)[1].str(), (*one)[2].str());
        }
    };
    columns(0, middle, [&](const std::string& name, const std::string& value) {
        if (value != "null") {
            carried.old_values.insert(name);
        }
    });
    columns(middle, line.size(), [&](const std::string& name, const std::string& value) {
        if (value == "unchanged-toast-datum") {
            carried.unchanged.insert(name);
        }
    });
    return carried;
}

Columns without(const Columns& all, const Columns& some)
{
    Columns left;
    std::ranges::set_difference(all, some, std::inserter(left, left.end()));
    return left;
}

struct Table {
    const char* name;
    const char* key;      ///< of CREATE TABLE
    const char* identity; ///< of ALTER TABLE
    Columns held;         ///< in the replica identity; empty: all
};

const char* const kTypes = "t text, v varchar, c citext, b bytea, n numeric, x xml, j json, jb jsonb, h hstore, "
                           "bv varbit, ta text[], ia int[], va varchar[], small int, word text";
const Columns kOutOfLine{"t", "v", "c", "b", "n", "x", "j", "jb", "h", "bv", "ta", "ia", "va"};
const Columns kAll{"id", "k2", "t", "v", "c", "b", "n", "x", "j", "jb", "h", "bv", "ta", "ia", "va", "small", "word"};
const char* const kLarge =
    "repeat('t', 9000), repeat('v', 9000), repeat('c', 9000), decode(repeat('0d', 9000), 'hex'), repeat('7', 9000)::numeric, "
    "('<a>' || repeat('x', 9000) || '</a>')::xml, ('\"' || repeat('j', 9000) || '\"')::json, ('\"' || repeat('k', 9000) || '\"')::jsonb, "
    "hstore('a', repeat('h', 9000)), repeat('10', 9000)::varbit, array_fill('ta'::text, '{4000}'), array_fill(7, '{4000}'), array_fill('va'::varchar, '{4000}')";

const std::vector<Table> kTables{
    {"by_default", "PRIMARY KEY (id)", "DEFAULT", {"id"}},
    {"by_two", "PRIMARY KEY (k2, id)", "DEFAULT", {"id", "k2"}},
    {"full", "PRIMARY KEY (id)", "FULL", {}},
    {"by_index",
     "PRIMARY KEY (id), CONSTRAINT by_index_more UNIQUE (k2, id)",
     "USING INDEX by_index_more",
     {"id", "k2"}},
    {"full_keyless", "CHECK (true)", "FULL", {}},
    {"index_keyless", "CONSTRAINT index_keyless_id UNIQUE (id)", "USING INDEX index_keyless_id", {"id"}}};

class Absent : public testing::TestWithParam<Table> {
protected:
    void SetUp() override
    {
        installation_.set_up();
        connection_.emplace(installation_.connect());
        connection_->script("CREATE EXTENSION citext; CREATE EXTENSION hstore");
        connection_->script(fmt::format("CREATE TABLE public.t (id int NOT NULL, k2 int NOT NULL, {}, {});"
                                        "ALTER TABLE public.t REPLICA IDENTITY {}",
                                        kTypes, GetParam().key, GetParam().identity));
        for (const std::string& column : kOutOfLine) {
            connection_->script("ALTER TABLE public.t ALTER " + column + " SET STORAGE EXTERNAL");
        }
        installation_.must({"table", "capture", "t"});
        installation_.start_daemon({{"KEYSHIFT_CDC__PARTITIONS", "1"}});
        ASSERT_TRUE(comes_true(
            [&] { return connection_->query("SELECT FROM keyshift.snapshot WHERE state <> 'done'").rows() == 0; }, 60));
        connection_->query("SELECT pg_create_logical_replication_slot($1, 'test_decoding')", {slot()});
    }
    void TearDown() override { connection_->query("SELECT pg_drop_replication_slot($1)", {slot()}); }

    std::string slot() const { return "carried_" + installation_.database().name(); }

    std::vector<Carried> carried()
    {
        const pg::Result rows = connection_->query(
            "SELECT data FROM pg_logical_slot_peek_changes($1, NULL, NULL, 'skip-empty-xacts', '1') WHERE data LIKE 'table public.t:%'",
            {slot()});
        std::vector<Carried> changes;
        for (int row = 0; row < rows.rows(); ++row) {
            changes.push_back(read_change(std::string(rows.text(row, 0))));
        }
        return changes;
    }

    void change_everything()
    {
        connection_->script(fmt::format("INSERT INTO public.t VALUES (1, 1, {}, 1, 'w')", kLarge));
        connection_->script("INSERT INTO public.t (id, k2) VALUES (2, 2)");
        connection_->script("UPDATE public.t SET small = 2");
        connection_->script("UPDATE public.t SET word = NULL");
        for (const std::string& column : kOutOfLine) {
            connection_->script("UPDATE public.t SET " + column + " = NULL, small = 3 WHERE id = 1");
        }
        connection_->script("DELETE FROM public.t");
        connection_->script(fmt::format("INSERT INTO public.t VALUES (1, 1, {}, 1, 'w')", kLarge));
        connection_->script("UPDATE public.t SET id = 3");
        connection_->script("UPDATE public.t SET k2 = 4");
        connection_->script("UPDATE public.t SET id = 5, t = repeat('u', 9000)");
        connection_->script("DELETE FROM public.t");
    }

    Installation installation_;
    std::optional<pg::Connection> connection_;
};

/// What the records of one change must say is absent: of each `before` and `after` that it has.
AbsentColumns expected(const Carried& change, const Columns& held, bool before, bool after)
{
    AbsentColumns columns;
    if (before && !held.empty()) {
        const Columns lacking = without(kAll, held);
        columns.before.assign(lacking.begin(), lacking.end());
    }
    if (after) {
        const Columns lacking = without(change.unchanged, change.old_values);
        columns.after.assign(lacking.begin(), lacking.end());
    }
    return columns;
}

AbsentColumns sorted(AbsentColumns columns)
{
    std::ranges::sort(columns.before);
    std::ranges::sort(columns.after);
    return columns;
}

AbsentColumns header_of(const kafka::Message& record)
{
    for (const auto& [name, value] : record.headers) {
        if (name == kHeaderAbsent) {
            return sorted(AbsentColumns::parse(value).value());
        }
    }
    return {};
}

TEST_P(Absent, ListsExactlyWhatTheWalDidNotCarry)
{
    change_everything();
    const std::vector<Carried> changes = carried();
    std::vector<kafka::Message> records;
    // Every change has a record with a value, a key change two.
    const auto position = [](const kafka::Message& record) {
        const auto found =
            std::ranges::find(record.headers, kHeaderPosition, [](const auto& header) { return header.first; });
        return SourcePosition::parse(found->second).value();
    };
    const auto complete = [&] {
        records = read_topic(installation_.servers().kafka(), installation_.prefix() + ".public.t", 1);
        std::erase_if(records, [](const kafka::Message& record) { return !record.value; });
        std::set<std::pair<std::uint64_t, std::uint64_t>> seen;
        for (const kafka::Message& record : records) {
            seen.emplace(position(record).commit_lsn.value, position(record).seq);
        }
        return seen.size() == changes.size();
    };
    ASSERT_TRUE(comes_true(complete, 60)) << changes.size() << " changes, " << records.size() << " records";
    ASSERT_GE(changes.size(), 25U);

    std::size_t at = 0;
    std::size_t listed = 0;
    for (std::size_t record = 0; record < records.size(); ++record, ++at) {
        const Carried& change = changes.at(at);
        if (!GetParam().held.empty() && change.before) {
            EXPECT_EQ(change.old_values, GetParam().held) << "what this test takes for the identity";
        }
        const bool pair = record + 1 < records.size() && position(records[record]) == position(records[record + 1]);
        const std::string where =
            fmt::format("change {} record {}: {}", at, record, records[record].value->substr(0, 80));
        const AbsentColumns first = header_of(records[record]);
        const AbsentColumns wanted = expected(change, GetParam().held, change.before, change.after && !pair);
        EXPECT_EQ(first.before, wanted.before) << where;
        EXPECT_EQ(first.after, wanted.after) << where;
        listed += first.before.size() + first.after.size();
        if (pair) {
            const AbsentColumns second = header_of(records[++record]);
            EXPECT_EQ(second.before, std::vector<std::string>{}) << where;
            EXPECT_EQ(second.after, expected(change, GetParam().held, false, true).after) << where;
            listed += second.after.size();
        }
    }
    EXPECT_EQ(at, changes.size());
    EXPECT_EQ(listed > 0, !GetParam().held.empty()) << "a full identity has everything, any other lacks something";
}

INSTANTIATE_TEST_SUITE_P(Identities, Absent, testing::ValuesIn(kTables),
                         [](const testing::TestParamInfo<Table>& present) { return std::string(present.param.name); });

} // namespace
} // namespace keyshift::test

// `reshard split`: a bucket becomes two while it is read and written (docs/adr/0022).
#include "tests/catalog/split_group.hpp"

#include "catalog/operations/ddl.hpp"
#include "core/error.hpp"

#include <gmock/gmock.h>

#include <optional>
#include <stop_token>
#include <utility>

namespace keyshift::test {
namespace {

using testing::HasSubstr;

TEST_F(Split, makes_two_buckets_of_one_on_every_node)
{
    pg::Connection n1 = cluster.connect(0);
    const std::string before =
        one(n1, "SELECT count(*) || ' ' || md5(string_agg(u::text, ',' ORDER BY user_id)) FROM public.users u");
    const std::string shape =
        "SELECT string_agg(regexp_replace(pg_get_indexdef(indexrelid), '_b[0-9]+', '', 'g'), ';' ORDER BY 1) "
        "FROM (SELECT indexrelid, pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'public.users_b{}'::regclass ORDER BY 2) i";
    const Json done = split(1);
    EXPECT_EQ(done["group"], "users");
    EXPECT_EQ(done["buckets"], 5);
    EXPECT_EQ(done["splits"][0]["into"], Json::parse(R"([{"bucket":1,"modulus":8},{"bucket":5,"modulus":8}])"));
    EXPECT_EQ(done["splits"][0]["epoch"], 2);
    expect_right("0,1,2,3,5");
    EXPECT_EQ(one(n1, "SELECT count(*) || ' ' || md5(string_agg(u::text, ',' ORDER BY user_id)) FROM public.users u"),
              before);
    EXPECT_EQ(one(n1, fmt::format(fmt::runtime(shape), 5)), one(n1, fmt::format(fmt::runtime(shape), 0)));
    EXPECT_EQ(
        one(cluster.catalog(),
            "SELECT string_agg(bucket || '@' || epoch || ':' || (open_lsn > '0/0')::text || coalesce(fence_lsn::text, ''), ' ' ORDER BY bucket, epoch) "
            "FROM keyshift.bucket_history WHERE bucket IN (1, 2, 5)"),
        "1@1:false 1@2:true 2@1:false 5@2:true");
    pg::Connection n2 = cluster.connect(1);
    EXPECT_EQ(sqlstate_of(n2, "INSERT INTO public.users VALUES (7777, 'x')"), "KS001");
    EXPECT_EQ(sqlstate_of(n2, "SELECT keyshift.must_own('public.users', 7777::bigint)"), "KS001");
    n1.script("DELETE FROM public.users WHERE user_id <= 100");
    EXPECT_EQ(one(n1, "SELECT count(*) FROM public.bookings"), std::to_string((kUsers - 100) * 3));
    EXPECT_EQ(sqlstate_of(n1, "INSERT INTO public.bookings (user_id, amount) VALUES (1, 1)"), "23503");
}

TEST_F(Split, goes_on_with_what_was_split_and_doubles_a_whole_group)
{
    split(1);
    split(5);
    const Json rest = catalog::split(cluster.catalog(), {std::nullopt, "bookings", false});
    EXPECT_EQ(rest["splits"].size(), 3U) << "0, 2 and 3 were left at the modulus of the group";
    expect_right("0,1,2,3,4,5,6,7,13");
    catalog::split(cluster.catalog(), {std::nullopt, "users", false});
    expect_right("0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15");
    EXPECT_EQ(catalog::route(cluster.catalog(), "users", {"42"})["bucket"].dump(), [&] {
        pg::Connection n1 = cluster.connect(0);
        return one(n1, "SELECT keyshift.bucket_of('public.users', '42')");
    }());
}

TEST_F(Split, of_a_table_that_joins_later_and_a_node_that_joins_later)
{
    split(1);
    cluster.connect(0).script(
        "CREATE TABLE public.notes (user_id bigint PRIMARY KEY REFERENCES public.users, note text);"
        "INSERT INTO public.notes SELECT user_id, 'n' FROM public.users");
    cluster.offline = false;
    cluster.distribute("notes", {"user_id"}, "users", 4);
    snapshots_are_done();
    cluster.add_database();
    cluster.add_node(2);
    expect_right("0,1,2,3,5");
    pg::Connection n3 = cluster.connect(2);
    EXPECT_EQ(
        one(n3,
            "SELECT string_agg(relname, ',' ORDER BY relname) FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid WHERE inhparent = 'public.notes'::regclass"),
        "notes_b0,notes_b1,notes_b2,notes_b3,notes_b5");
    split(5);
    EXPECT_EQ(one(n3, "SELECT count(*) FROM pg_inherits WHERE inhparent = 'public.notes'::regclass"), "6");
    catalog::ddl(cluster.catalog(), {"CREATE INDEX notes_note ON notes (note)"});
    EXPECT_EQ(one(n3, "SELECT count(*) FROM pg_class WHERE relname LIKE 'notes\\_note\\_b%'"), "6");
    EXPECT_EQ(found_by_doctor(cluster.catalog()), Json::array());
}

TEST_F(Split, refuses_with_the_reason_and_the_way_out)
{
    const auto why = [&](std::optional<std::uint32_t> bucket, const std::string& group) {
        try {
            catalog::split(cluster.catalog(), {bucket, group, false});
            return std::string("split");
        } catch (const RefusedError& error) {
            return std::string(error.what());
        }
    };
    EXPECT_THAT(why(9, "users"),
                testing::AllOf(HasSubstr("bucket 9 of users"), HasSubstr("no such bucket"), HasSubstr("table show")));
    EXPECT_THAT(why(1, "nothing"), HasSubstr("Known: users"));
    cluster.distribute("countries", {"code"});
    EXPECT_THAT(why(1, ""), testing::AllOf(HasSubstr("--group"), HasSubstr("countries"), HasSubstr("users")));
    EXPECT_THAT(why(1, "countries"), HasSubstr("still being written to Kafka"));
    snapshots_are_done();
    pg::Connection& catalog = cluster.catalog();
    catalog.script(
        "INSERT INTO keyshift.job DEFAULT VALUES;"
        "INSERT INTO keyshift.move (job, group_name, bucket, donor, recipient, epoch, token, state) SELECT id, 'users', 1, 'n1', 'n2', 2, 'x', 'copying' FROM keyshift.job");
    EXPECT_THAT(why(1, "users"),
                testing::AllOf(HasSubstr("of job 1 carries it: copying"), HasSubstr("keyshift reshard cancel 1")));
    catalog.script("DELETE FROM keyshift.move; DELETE FROM keyshift.job");
    cluster.connect(0).script("CREATE VIEW public.one_leaf AS SELECT * FROM public.users_b1");
    EXPECT_THAT(why(1, "users"), HasSubstr("one_leaf"));
    cluster.connect(0).script(
        "DROP VIEW public.one_leaf; ALTER TABLE public.users ADD CONSTRAINT name_once UNIQUE (user_id, name) DEFERRABLE");
    EXPECT_THAT(why(1, "users"),
                testing::AllOf(HasSubstr("deferrable constraint name_once"), HasSubstr("keyshift ddl")));
    cluster.connect(0).script("ALTER TABLE public.users DROP CONSTRAINT name_once");
    catalog.script("UPDATE keyshift.table_group SET kind = 'projection' WHERE name = 'countries'");
    EXPECT_THAT(why(0, "countries"), HasSubstr("projection"));
    EXPECT_EQ(one(catalog, "SELECT count(*) FROM keyshift.split WHERE state = 'running'"), "0");
    EXPECT_EQ(why(1, ""), "split") << "there is one group of tables by now";
}

TEST_F(Split, is_taken_back_when_it_is_interrupted_and_when_the_definition_changes)
{
    std::stop_source stop;
    const catalog::OnlineWork interrupted{[&](double, const std::string&) { stop.request_stop(); }, stop.get_token()};
    EXPECT_THROW(split(1, interrupted), TransientError);
    expect_right("0,1,2,3");
    bool added = false;
    const catalog::OnlineWork work{[&](double, const std::string&) {
                                       if (!std::exchange(added, true)) {
                                           cluster.connect(0).script("ALTER TABLE public.users ADD COLUMN late int");
                                       }
                                   },
                                   {}};
    EXPECT_THROW(split(1, work), TransientError);
    EXPECT_TRUE(added);
    cluster.connect(0).script("ALTER TABLE public.users DROP COLUMN late");
    expect_right("0,1,2,3");
    EXPECT_EQ(one(cluster.catalog(), "SELECT string_agg(DISTINCT state, ',') FROM keyshift.split"), "undone");
}

TEST_F(Split, isolates_a_key_as_far_as_its_hash_allows)
{
    const Json planned = catalog::isolate(cluster.catalog(), {"bookings", {"42"}, true});
    expect_right("0,1,2,3");
    const Json done = catalog::isolate(cluster.catalog(), {"bookings", {"42"}, false});
    EXPECT_EQ(done["bucket"], planned["bucket"]);
    EXPECT_EQ(done["modulus"], planned["modulus"]);
    EXPECT_EQ(done["splits"].size(), 1U);
    pg::Connection n1 = cluster.connect(0);
    const std::string bucket = done["bucket"].dump();
    EXPECT_EQ(one(n1, "SELECT keyshift.bucket_of('public.users', '42')"), bucket);
    EXPECT_EQ(one(n1, fmt::format("SELECT count(*) FROM public.users_b{} WHERE user_id <> 42", bucket)),
              done["keys_beside"].dump());
    const std::string finest = one(
        n1,
        "SELECT count(*) FROM public.users WHERE satisfies_hash_partition('public.users'::regclass, 4096, "
        "(SELECT r FROM generate_series(0, 4095) r WHERE satisfies_hash_partition('public.users'::regclass, 4096, r, 42::bigint)), user_id) AND user_id <> 42");
    EXPECT_EQ(done["keys_beside"].dump(), finest);
    std::string buckets;
    const Json shown = catalog::show_table(cluster.catalog(), "users");
    for (const auto& row : shown["placement"]) {
        buckets += (buckets.empty() ? "" : ",") + row["bucket"].dump();
    }
    expect_right(buckets);
    const Json again = catalog::isolate(cluster.catalog(), {"users", {"42"}, false});
    EXPECT_TRUE(again["splits"].empty());
    EXPECT_EQ(again["bucket"], done["bucket"]);
}

TEST_F(Split, undistribute_brings_all_of_it_together)
{
    split(1);
    cluster.connect(0).script("ALTER TABLE public.bookings DROP CONSTRAINT bookings_user_id_fkey");
    cluster.connect(1).script("ALTER TABLE public.bookings DROP CONSTRAINT bookings_user_id_fkey");
    catalog::undistribute(cluster.catalog(), "bookings", false);
    pg::Connection n1 = cluster.connect(0);
    EXPECT_EQ(one(n1, "SELECT count(*) FROM public.bookings"), std::to_string(kUsers * 3));
    EXPECT_EQ(one(cluster.catalog(), "SELECT epoch FROM keyshift.captured_table WHERE table_name = 'bookings'"), "3");
}

} // namespace
} // namespace keyshift::test

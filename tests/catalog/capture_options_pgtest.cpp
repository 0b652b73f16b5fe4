// Options of `table capture`: what is stored, what the publication gets, and everything that is refused before it is.
#include "tests/catalog/cluster.hpp"

#include "catalog/option_json.hpp"
#include "core/error.hpp"
#include "core/json.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ostream>

namespace keyshift::test {
namespace {

using catalog::OptionChanges;
using testing::HasSubstr;

constexpr const char* kTables =
    "CREATE TYPE public.mood AS ENUM ('sad', 'happy'); CREATE DOMAIN public.note AS text;"
    "CREATE TABLE public.people (id bigint PRIMARY KEY, email text, phone varchar(12), mood public.mood, about public.note,"
    "  photo bytea, born date, extra jsonb, twice bigint GENERATED ALWAYS AS (id * 2) STORED);"
    "CREATE TABLE public.\"Odd, one\" (\"Id\" bigint PRIMARY KEY, \"a=b\" text);"
    "CREATE TABLE public.orders (id bigint PRIMARY KEY, customer bigint NOT NULL, note text);"
    "ALTER TABLE public.orders REPLICA IDENTITY FULL;"
    "CREATE TABLE public.posts (id bigint PRIMARY KEY, content text)";

class CaptureOptionsTest : public testing::Test {
protected:
    CaptureOptionsTest() : n1_(cluster_.add_database().connect())
    {
        n1_.script(kTables);
        cluster_.add_node(0);
    }

    nlohmann::json capture(const std::string& table, const OptionChanges& changes, bool dry_run = false)
    {
        return catalog::capture(cluster_.catalog(), {table}, false, std::nullopt, dry_run, changes);
    }
    nlohmann::json options(const std::string& table)
    {
        return catalog::show_table(cluster_.catalog(), table).at("options");
    }
    std::string filter(const std::string& table)
    {
        return one(n1_, "SELECT coalesce(rowfilter, '') FROM pg_publication_tables WHERE tablename = '" + table + "'");
    }
    Error refusal(const std::string& table, const OptionChanges& changes)
    {
        try {
            capture(table, changes);
        } catch (const Error& error) {
            EXPECT_FALSE(error.parts().what.empty() || error.parts().why.empty() || error.parts().next.empty());
            return error;
        }
        ADD_FAILURE() << "nothing was refused";
        return RefusedError({"", "", ""});
    }

    Cluster cluster_;
    pg::Connection n1_;
};

TEST_F(CaptureOptionsTest, are_stored_for_a_new_table_and_changed_for_a_captured_one)
{
    const auto first =
        capture("people", {.hash = "phone", .mask = {"EMAIL=a=b, c"}, .truncate = {"about=5", "photo=2"}});
    EXPECT_EQ(first["captured"].size(), 1U);
    EXPECT_EQ(
        options("people"),
        nlohmann::json::parse(R"({"mask":{"email":"a=b, c"},"hash":["phone"],"truncate":{"about":5,"photo":2}})"));

    const auto second = capture("people", {.exclude_columns = "extra,born", .on_error = "dead-letter", .mask = {""}});
    EXPECT_EQ(second["captured"].size(), 0U);
    EXPECT_EQ(
        options("people"),
        nlohmann::json::parse(
            R"({"exclude_columns":["extra","born"],"hash":["phone"],"truncate":{"about":5,"photo":2},"on_error":"dead-letter"})"));

    capture("people", {.defaults = true, .mask = {"mood=hidden"}});
    EXPECT_EQ(options("people"), nlohmann::json::parse(R"({"mask":{"mood":"hidden"}})"));
    capture("people", {.defaults = true});
    EXPECT_EQ(options("people"), nlohmann::json::object());
    EXPECT_EQ(one(cluster_.catalog(), "SELECT options FROM keyshift.captured_table WHERE table_name = 'people'"), "{}");
}

TEST_F(CaptureOptionsTest, names_are_read_as_sql_reads_them)
{
    capture(R"("Odd, one")", {.mask = {R"("a=b"=*)"}});
    EXPECT_EQ(options(R"("Odd, one")"), nlohmann::json::parse(R"({"mask":{"a=b":"*"}})"));
}

TEST_F(CaptureOptionsTest, a_dry_run_changes_nothing)
{
    capture("orders", {.where = "customer > 5"}, true);
    EXPECT_EQ(one(cluster_.catalog(), "SELECT count(*) FROM keyshift.captured_table"), "0");
    EXPECT_EQ(one(n1_, "SELECT count(*) FROM pg_publication_tables"), "0");
    capture("orders", {});
    capture("orders", {.key = "customer"}, true);
    EXPECT_EQ(options("orders"), nlohmann::json::object());
}

TEST_F(CaptureOptionsTest, a_filter_is_the_publications_and_can_be_changed_and_taken_away)
{
    capture("orders", {.where = "customer > 5 -- a comment"});
    EXPECT_EQ(filter("orders"), "(customer > 5)");
    EXPECT_THAT(refusal("orders", {.where = "customer > 6"}).what(), HasSubstr("are being read into the topic"));
    cluster_.catalog().script("UPDATE keyshift.snapshot SET state = 'done'");
    capture("orders", {.where = "note = 'x' OR customer > 6"});
    EXPECT_EQ(filter("orders"), "((note = 'x'::text) OR (customer > 6))");
    capture("orders", {.where = ""});
    EXPECT_EQ(filter("orders"), "");
    EXPECT_EQ(options("orders"), nlohmann::json::object());
}

TEST_F(CaptureOptionsTest, of_a_distributed_table_are_kept_set_and_shown_but_for_a_filter)
{
    capture("posts", {.mask = {"content=*"}});
    cluster_.distribute("posts", {"id"});
    EXPECT_EQ(options("posts"), nlohmann::json::parse(R"({"mask":{"content":"*"}})"));
    capture("posts", {.defaults = true, .truncate = {"content=3"}});
    EXPECT_EQ(options("posts"), nlohmann::json::parse(R"({"truncate":{"content":3}})"));
    EXPECT_THAT(refusal("posts", {.where = "id > 5"}).what(), HasSubstr("distributed"));
    EXPECT_THAT(refusal("posts", {.defaults = true, .key = "content"}).what(),
                HasSubstr("not in the replica identity"));

    capture("orders", {.where = "customer > 5"});
    EXPECT_THROW(cluster_.distribute("orders", {"id"}), RefusedError);
}

TEST_F(CaptureOptionsTest, that_falsify_a_projection_are_refused)
{
    capture("orders", {});
    cluster_.catalog().script("UPDATE keyshift.snapshot SET state = 'done'");
    cluster_.catalog().script(
        "INSERT INTO keyshift.projection (name, view_schema, group_name, sql, definition) VALUES ('p', 'public', 'p', '',"
        R"('{"base":{"schema":"public","table":"orders"},"base_columns":[{"name":"id"},{"name":"note"}]}'))");
    EXPECT_THAT(refusal("orders", {.mask = {"note=*"}}).what(), HasSubstr("projection p"));
    EXPECT_THAT(refusal("orders", {.hash = "note"}).what(), HasSubstr("hashed"));
    EXPECT_THAT(refusal("orders", {.truncate = {"note=1"}}).what(), HasSubstr("cut"));
    EXPECT_THAT(refusal("orders", {.exclude_columns = "note"}).what(), HasSubstr("in no event"));
    EXPECT_THAT(refusal("orders", {.where = "customer > 5"}).what(), HasSubstr("row filter"));
    EXPECT_THAT(refusal("orders", {.key = "customer"}).what(), HasSubstr("partitions"));
    EXPECT_THAT(refusal("orders", {.on_error = "dead-letter"}).what(), HasSubstr("too large for the topic"));
    EXPECT_EQ(filter("orders"), "");
    EXPECT_EQ(options("orders"), nlohmann::json::object());
    capture("orders", {.exclude_columns = "customer"});
    EXPECT_EQ(options("orders"), nlohmann::json::parse(R"({"exclude_columns":["customer"]})"));
}

TEST_F(CaptureOptionsTest, a_former_column_may_be_named)
{
    capture("people", {.mask = {"email=*"}});
    n1_.script("ALTER TABLE public.people RENAME COLUMN email TO mail");
    EXPECT_THAT(refusal("people", {.mask = {"email=*", "mial=*"}}).what(), HasSubstr("Did you mean mail?"));
    capture("people", {.mask = {"email=*", "mail=*"}});
    EXPECT_EQ(options("people"), nlohmann::json::parse(R"({"mask":{"email":"*","mail":"*"}})"));
    EXPECT_THAT(refusal("people", {.hash = "telephone"}).what(), HasSubstr("no column telephone"));
    capture("people", {.hash = "telephone", .former_columns = "telephone"});
}

TEST_F(CaptureOptionsTest, doctor_sees_a_lost_filter_and_a_lost_identity)
{
    capture("orders", {.where = "customer > 5"});
    EXPECT_EQ(found_by_doctor(cluster_.catalog()), nlohmann::json::array());
    const std::string publication = one(n1_, "SELECT pubname FROM pg_publication");
    n1_.script("ALTER PUBLICATION " + publication +
               " SET TABLE public.orders; ALTER TABLE public.orders REPLICA IDENTITY NOTHING");
    const auto findings = found_by_doctor(cluster_.catalog());
    ASSERT_EQ(findings.size(), 2U);
    EXPECT_EQ(findings[0]["check"], "row_filter_differs");
    EXPECT_EQ(findings[1]["check"], "replica_identity_missing");
    n1_.script(findings[1]["fix"].get<std::string>());
    n1_.script(findings[0]["fix"].get<std::string>());
    EXPECT_EQ(found_by_doctor(cluster_.catalog()), nlohmann::json::array());
    EXPECT_EQ(filter("orders"), "(customer > 5)");
}

TEST(CaptureOptionJson, an_unknown_option_of_a_newer_program_is_fatal)
{
    EXPECT_THROW(catalog::read_options(R"({"blur":["email"]})"), FatalError);
}

struct Refusal {
    const char* name;
    const char* table;
    OptionChanges changes;
    int status;
    const char* why;

    friend void PrintTo(const Refusal& one, std::ostream* out) { *out << one.name; }
};
class CaptureRefuses : public CaptureOptionsTest, public testing::WithParamInterface<Refusal> {};

TEST_P(CaptureRefuses, and_captures_nothing)
{
    const Error error = refusal(GetParam().table, GetParam().changes);
    EXPECT_EQ(exit_status(error.kind()), GetParam().status) << error.what();
    EXPECT_THAT(error.what(), HasSubstr(GetParam().why));
    EXPECT_EQ(one(cluster_.catalog(), "SELECT count(*) FROM keyshift.captured_table"), "0");
    EXPECT_EQ(one(n1_, "SELECT count(*) FROM pg_publication_tables"), "0");
}

INSTANTIATE_TEST_SUITE_P(
    Options, CaptureRefuses,
    testing::Values(
        Refusal{"unknown", "people", {.exclude_columns = "emial"}, 5, "Did you mean email?"},
        Refusal{"generated", "people", {.exclude_columns = "twice"}, 5, "no column twice"},
        Refusal{"both_lists", "people", {.include_columns = "id,email", .exclude_columns = "phone"}, 5, "contradict"},
        Refusal{"twice_named", "people", {.hash = "email", .mask = {"email=*"}}, 5, "named by two"},
        Refusal{"masked_and_hidden", "people", {.include_columns = "id", .mask = {"email=*"}}, 5, "in no event"},
        Refusal{"key_excluded", "people", {.exclude_columns = "id"}, 5, "in the table's key"},
        Refusal{"key_not_included", "people", {.include_columns = "email"}, 5, "in the table's key"},
        Refusal{"key_hashed", "orders", {.hash = "note", .key = "note"}, 5, "message key"},
        Refusal{"key_of_another_type", "people", {.truncate = {"id=2"}}, 5, "of type int8"},
        Refusal{"mask_of_a_date", "people", {.mask = {"born=*"}}, 5, "of type date"},
        Refusal{"hash_of_bytes", "people", {.hash = "photo"}, 5, "of type bytea"},
        Refusal{"part_of_a_document", "people", {.truncate = {"extra=3"}}, 5, "of type jsonb"},
        Refusal{"key_outside_identity", "people", {.key = "email"}, 5, "REPLICA IDENTITY FULL"},
        Refusal{"filter_outside_identity", "people", {.where = "email <> ''"}, 5, "not in the replica identity"},
        Refusal{"filter_is_no_sql", "orders", {.where = "customer >"}, 5, "syntax error"},
        Refusal{"filter_calls_a_volatile", "orders", {.where = "random() > customer"}, 5, "immutable"},
        Refusal{"filter_breaks_out", "orders", {.where = "true), TABLE public.people WHERE (true"}, 5, "--where"},
        Refusal{"policy", "people", {.on_error = "ignore"}, 2, "no such policy"},
        Refusal{"no_length", "people", {.truncate = {"email=x"}}, 2, "no number"},
        Refusal{"no_assignment", "people", {.mask = {"email"}}, 2, "no ="}),
    [](const testing::TestParamInfo<Refusal>& present) { return present.param.name; });

} // namespace
} // namespace keyshift::test

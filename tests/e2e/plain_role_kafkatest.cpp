// Everything as a role that is no superuser (LOGIN, REPLICATION, CREATEDB) and owns the databases, as on managed services;
// one table belongs to another role of which it is a member, and the application writes as a third.
#include "tests/e2e/fold.hpp"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace keyshift::test {
namespace {

constexpr int kUsers = 120;
constexpr int kNodes = 2;

std::string one(pg::Connection& connection, const std::string& sql)
{
    return std::string(connection.query(sql).text(0, 0));
}

class PlainRole : public ::testing::Test {
protected:
    PlainRole()
    {
        for (int number = 1; number <= kNodes; ++number) {
            pg::Connection administrator = installation_.database(number).connect_superuser();
            for (const char* role : {"keyshift_app LOGIN", "keyshift_holder NOLOGIN"}) {
                administrator.script(fmt::format("DO $$ BEGIN CREATE ROLE {}; EXCEPTION WHEN duplicate_object OR "
                                                 "unique_violation THEN NULL; END $$",
                                                 role));
            }
            administrator.script("GRANT keyshift_holder TO keyshift_plain");
            pg::Connection node = installation_.connect(number);
            EXPECT_EQ(
                one(node,
                    "SELECT rolsuper OR rolcreaterole OR rolbypassrls FROM pg_roles WHERE rolname = current_user"),
                "f");
            node.script("GRANT CREATE ON SCHEMA public TO keyshift_holder;"
                        "CREATE TABLE public.noted (node text, op text); ");
        }
        installation_.connect().script(fmt::format(R"(
CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
    INSERT INTO public.noted VALUES (current_setting('port'), TG_OP); RETURN NULL; END $$;
CREATE TABLE public.users (user_id bigint PRIMARY KEY, name text NOT NULL);
CREATE TABLE public.posts (post_id bigint NOT NULL, user_id bigint NOT NULL REFERENCES public.users, content text, PRIMARY KEY (user_id, post_id));
CREATE TABLE public.countries (code text PRIMARY KEY, name text);
CREATE TABLE public.log (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, line text);
INSERT INTO public.users SELECT i, 'user ' || i FROM generate_series(1, {0}) i;
INSERT INTO public.posts SELECT i, 1 + i % {0}, 'post ' || i FROM generate_series(1, 400) i;
INSERT INTO public.countries VALUES ('a', 'A'), ('b', 'B');
INSERT INTO public.log (line) SELECT 'line ' || i FROM generate_series(1, 50) i;
CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON public.users FOR EACH ROW EXECUTE FUNCTION public.note();
GRANT SELECT, INSERT, UPDATE, DELETE ON public.users, public.posts TO keyshift_app;
ALTER TABLE public.posts OWNER TO keyshift_holder)",
                                                   kUsers));
        installation_.directory().write("keyshift.toml", installation_.config_text("\n[reshard]\ngrace = \"1s\"\n"));
    }

    /// As the application's role, on the node that owns the key; each update that is acknowledged was noted once.
    void write(std::stop_token stop)
    {
        std::map<std::string, std::unique_ptr<pg::Connection>> nodes;
        for (int number = 1; number <= kNodes; ++number) {
            const std::string name = fmt::format("n{}", number);
            nodes[name] = std::make_unique<pg::Connection>(pg::ConnectionSettings{
                name, installation_.database(number).conninfo_as("keyshift_app"), "", "application"});
        }
        std::string node = "n1";
        for (; !stop.stop_requested(); ++turns_) {
            const int turn = turns_;
            const std::string user = std::to_string(1 + turn % kUsers);
            try {
                pg::Connection& owner = *nodes.at(node);
                if (distributed_) {
                    node = one(owner, "SELECT keyshift.node_of('public.users', '" + user + "')");
                }
                nodes.at(node)->query(
                    fmt::format("UPDATE public.users SET name = $2 WHERE user_id = $1::bigint{}",
                                distributed_ ? " AND keyshift.must_own('public.users', $1::bigint)" : ""),
                    {user, fmt::format("turn {}", turn)});
                ++written_;
                nodes.at(node)->query("INSERT INTO public.posts VALUES ($1::bigint, $2::bigint, 'new')",
                                      {std::to_string(100'000 + turn), user});
            } catch (const pg::SqlError& error) {
                ASSERT_EQ(error.sqlstate(), "KS001") << error.what();
            } catch (const pg::TransientSqlError&) {
            }
        }
    }

    void expect_healthy()
    {
        const nlohmann::json found = installation_.json({"doctor"});
        for (const auto& finding : found) {
            EXPECT_EQ(finding["severity"], "warning") << finding.dump();
        }
    }

    void moved(const std::vector<std::string>& command)
    {
        installation_.must(command);
        EXPECT_TRUE(comes_true(
            [&] { return one(catalog_, "SELECT count(*) FROM keyshift.move WHERE state <> 'done'") == "0"; }, 90))
            << installation_.json({"reshard", "status"}).dump(1);
        expect_healthy();
    }

    Installation installation_{kNodes - 1, DatabaseOwner::plain};
    pg::Connection catalog_ = installation_.connect();
    std::atomic<bool> distributed_ = false;
    std::atomic<int> written_ = 0;
    int turns_ = 0; ///< of one writer at a time
};

TEST_F(PlainRole, DoesTheWholeOfIt)
{
    installation_.must({"init"});
    installation_.add_node(1);
    installation_.must({"doctor", "--plan", "users=user_id,posts=user_id"});
    {
        const std::jthread writer([&](std::stop_token stop) { write(stop); });
        ASSERT_TRUE(comes_true([&] { return written_ > 20; }));
        installation_.must({"table", "distribute", "users", "--key", "user_id", "--buckets", "4"});
        distributed_ = true;
        const int before = written_;
        ASSERT_TRUE(comes_true([&] { return written_ > before + 20; }));
    }
    installation_.must({"table", "distribute", "posts", "--key", "user_id", "--with", "users", "--offline"});
    installation_.must({"table", "capture", "log"});
    installation_.must({"table", "reference", "countries"});
    installation_.start_daemon();
    installation_.must({"projection", "create", "posts_by_id", "--key", "post_id", "--buckets", "4", "--sql",
                        "SELECT post_id, user_id, content FROM posts", "--wait", "--timeout", "60s"});
    installation_.add_node(2);
    expect_healthy();
    {
        const std::jthread writer([&](std::stop_token stop) { write(stop); });
        moved({"reshard", "start", "--wait", "--timeout", "120s"});
        pg::Connection second = installation_.connect(2);
        EXPECT_EQ(one(second, "SELECT count(*) FROM public.countries"), "2");
        EXPECT_NE(one(second, "SELECT count(*) FROM public.users"), "0");
        EXPECT_EQ(
            one(second,
                "SELECT string_agg(DISTINCT pg_get_userbyid(relowner), ',') FROM pg_class WHERE relname ~ '^posts_b[0-9]+$' AND relkind = 'r'"),
            "keyshift_holder");
        moved({"reshard", "rollback", "1", "--wait", "--timeout", "120s"});
        EXPECT_EQ(one(second, "SELECT count(*) FROM public.users"), "0");
        moved({"reshard", "start", "--wait", "--timeout", "120s"});
        installation_.must({"ddl", "ALTER TABLE users ADD COLUMN age int"});
        installation_.must({"ddl", "CREATE INDEX posts_content ON posts (content)"});
        installation_.must({"reshard", "verify"});
        installation_.must({"cdc", "snapshot", "log", "--wait", "--timeout", "60s"});
        moved({"node", "drain", "n2", "--wait", "--timeout", "120s"});
    }
    installation_.must({"projection", "verify", "posts_by_id"});
    std::int64_t noted = 0;
    for (int number = 1; number <= kNodes; ++number) {
        pg::Connection node = installation_.connect(number);
        noted += node.query("SELECT count(*) FROM public.noted").integer(0, 0);
    }
    EXPECT_EQ(noted, written_.load()) << "a user's trigger fires once for each write of a user";
    EXPECT_EQ(installation_.json({"table", "show", "users"})["key"][0], "user_id");
    EXPECT_EQ(installation_.stop_daemon(), 0);
    installation_.must({"deinit", "--yes"});
    for (int number = 1; number <= kNodes; ++number) {
        pg::Connection node = installation_.connect(number);
        EXPECT_EQ(
            one(node,
                "SELECT (SELECT count(*) FROM pg_replication_slots WHERE database = current_database()) || ' ' || "
                "(SELECT count(*) FROM pg_publication) || ' ' || (to_regnamespace('keyshift') IS NULL)::text"),
            "0 0 true");
    }
}

} // namespace
} // namespace keyshift::test

#include "tests/projections/composite_fixture.hpp"

#include "core/json.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <iterator>
#include <random>
#include <vector>

namespace keyshift::test {

namespace {

const char* const kTables = R"(
CREATE TABLE public.users (user_id bigint PRIMARY KEY, name text NOT NULL, boss_id bigint);
CREATE TABLE public.posts (user_id bigint, post_id bigint, content text, stars numeric, PRIMARY KEY (user_id, post_id));
CREATE TABLE public.talk (post_id bigint, talk_id bigint, user_id bigint NOT NULL, kind text, words text, asked bigint NOT NULL DEFAULT 3, PRIMARY KEY (post_id, talk_id));
INSERT INTO public.users SELECT i, 'user ' || i, nullif(i % 5, 0) FROM generate_series(1, 20) i;
INSERT INTO public.posts SELECT i % 20 + 1, i, 'post ' || i, i FROM generate_series(1, 60) i;
INSERT INTO public.talk SELECT i % 70, i, i % 23 + 1, CASE i % 3 WHEN 0 THEN 'like' WHEN 1 THEN 'comment' END, 'words ' || i
FROM generate_series(1, 300) i)";

/// Writes of every kind: parents before and behind their children, both sides' keys, deletes and what comes again.
std::string random_change(std::mt19937& random)
{
    const auto any = [&](unsigned below) {
        return std::to_string(random() % below);
    };
    const std::string changes[] = {
        "INSERT INTO public.talk VALUES (" + any(80) + ", " + any(400) + ", 1 + " + any(25) + ", 'like', 'w" + any(9) +
            "') ON CONFLICT DO NOTHING",
        "DELETE FROM public.talk WHERE talk_id = " + any(400),
        "UPDATE public.talk SET user_id = 1 + " + any(25) + " WHERE talk_id = " + any(400),
        "UPDATE public.talk SET kind = CASE WHEN kind IS NULL THEN 'like' END, words = 'w" + any(99) +
            "' WHERE talk_id = " + any(400),
        "UPDATE public.posts SET content = 'post' || " + any(999) + ", stars = " + any(99) +
            " / 4.0 WHERE post_id = " + any(80),
        "UPDATE public.posts SET user_id = 1 + " + any(25) + " WHERE post_id = " + any(80),
        "INSERT INTO public.posts VALUES (1 + " + any(25) + ", " + any(80) + ", 'again', 1) ON CONFLICT DO NOTHING",
        "DELETE FROM public.posts WHERE post_id = " + any(80),
        "UPDATE public.users SET name = 'name" + any(999) + "', boss_id = nullif(" + any(25) +
            ", 0) WHERE user_id = " + any(25),
        "DELETE FROM public.users WHERE user_id = " + any(25),
        "INSERT INTO public.users VALUES (1 + " + any(25) + ", 'back', 3) ON CONFLICT DO NOTHING"};
    return changes[random() % std::size(changes)];
}

} // namespace

const Kind kKinds[] = {
    {"talk_of_user", "user_id",
     "SELECT t.user_id, t.talk_id, t.post_id, coalesce(t.kind, 'none') AS kind, p.content, a.name AS author, u.name AS reader, "
     "b.name AS boss FROM public.talk t LEFT JOIN public.posts p ON p.post_id = t.post_id LEFT JOIN public.users a ON a.user_id = p.user_id "
     "JOIN public.users u ON u.user_id = t.user_id LEFT JOIN public.users b ON b.user_id = u.boss_id "
     "WHERE t.kind IS DISTINCT FROM 'like' OR p.content LIKE '%1%'"},
    {"feed", "author",
     "SELECT p.user_id AS author, a.name AS author_name, p.post_id, p.content, t.talk_id, t.kind, u.name AS reader FROM public.posts p "
     "JOIN public.users a USING (user_id) LEFT JOIN public.talk t ON t.post_id = p.post_id LEFT JOIN public.users u ON u.user_id = t.user_id"},
    {"activity", "user_id",
     "SELECT user_id, post_id, 'post' AS what, content, NULL::bigint AS talk_id FROM public.posts UNION ALL "
     "SELECT t.user_id, t.post_id, t.kind, t.words || ' of ' || u.name, t.talk_id FROM public.talk t JOIN public.users u USING (user_id)"},
    {"post_talk", "user_id",
     "SELECT p.user_id, p.post_id, p.content, count(t.talk_id) AS talks, count(*) FILTER (WHERE t.kind = 'like') AS likes, "
     "max(t.talk_id) AS newest, trim_scale(sum(p.stars)) AS stars FROM public.posts p LEFT JOIN public.talk t ON t.post_id = p.post_id "
     "GROUP BY p.user_id, p.post_id, p.content HAVING count(*) < 40"},
};

Composite::Composite()
{
    cluster_.connect(0).script(kTables);
    cluster_.distribute("users", "user_id");
    cluster_.distribute("posts", "user_id");
    cluster_.distribute("talk", "post_id");
}

void Composite::change(unsigned seed, int times)
{
    pg::Connection node = cluster_.connect(0);
    std::mt19937 random(seed);
    for (int turn = 0; turn < times; ++turn) {
        try {
            node.script(random_change(random));
        } catch (const pg::SqlError& error) {
            ASSERT_EQ(error.sqlstate(), "23505") << error.what(); // a post of this author is there
        }
    }
}

void Composite::expect_exact(const Kind& kind)
{
    pg::Connection node = cluster_.connect(0);
    std::vector<std::string> wanted;
    const pg::Result rows = node.query(shown(kind.sql));
    for (int row = 0; row < rows.rows(); ++row) {
        wanted.emplace_back(rows.text(row, 0));
    }
    std::sort(wanted.begin(), wanted.end());
    const std::string view = std::string("TABLE public.") + kind.name;
    EXPECT_EQ(cluster_.rows_once(shown(view), wanted), wanted) << kind.name;
    EXPECT_EQ(cluster_.verify(kind.name), "0/0/0") << kind.name;
}

bool Composite::serves(const std::string& name, int generation, int of)
{
    return cluster_.wait_until(fmt::format("SELECT count(*) = {} AND bool_or(serving AND generation = {}) "
                                           "FROM keyshift.composite WHERE name = '{}'",
                                           of, generation, name));
}

void Composite::rebuild(const Kind& kind, std::int64_t keep_seconds)
{
    projections::RebuildRequest request;
    request.name = kind.name;
    request.sql = kind.sql;
    request.key = {kind.key};
    request.keep_seconds = keep_seconds;
    request.apply = true;
    projections::rebuild(cluster_.catalog(), request);
}

} // namespace keyshift::test

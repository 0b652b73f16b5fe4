#include "demo/schema.hpp"

#include "core/names.hpp"
#include "demo/screen.hpp"

#include <fmt/core.h>

namespace keyshift::demo {

namespace {

constexpr const char* kTables = R"(
CREATE EXTENSION IF NOT EXISTS "uuid-ossp" SCHEMA public;
CREATE TABLE public.users (
    user_id uuid PRIMARY KEY DEFAULT public.uuid_generate_v4(),
    name    text NOT NULL
);
CREATE TABLE public.posts (
    post_id uuid PRIMARY KEY DEFAULT public.uuid_generate_v4(),
    user_id uuid NOT NULL REFERENCES public.users,
    content text
);
CREATE TABLE public.interactions (
    interaction_id   uuid PRIMARY KEY DEFAULT public.uuid_generate_v4(),
    post_id          uuid NOT NULL REFERENCES public.posts,
    user_id          uuid NOT NULL,
    interaction_type text NOT NULL CHECK (interaction_type IN ('like', 'comment', 'share')),
    content          text
);
CREATE INDEX ON public.posts (user_id);
CREATE INDEX ON public.interactions (post_id);
CREATE INDEX ON public.interactions (user_id);
)";

// power(random(), 3) gives the first tenth of the users 46 % of the posts.
constexpr const char* kRows = R"(
SELECT pg_catalog.setseed(0.42);
INSERT INTO public.users SELECT pg_catalog.md5('user' || i)::uuid, 'user ' || i FROM pg_catalog.generate_series(1, {users}) i;
INSERT INTO public.posts
SELECT pg_catalog.md5('post' || i)::uuid, pg_catalog.md5('user' || (1 + floor({users} * power(random(), 3)))::int)::uuid,
       'post ' || i || ' ' || repeat(pg_catalog.md5(i::text), 2)
FROM pg_catalog.generate_series(1, {posts}) i;
INSERT INTO public.interactions
SELECT pg_catalog.md5('interaction' || i)::uuid, pg_catalog.md5('post' || (1 + floor({posts} * power(random(), 3)))::int)::uuid,
       pg_catalog.md5('user' || (1 + floor({users} * power(random(), 3)))::int)::uuid,
       (ARRAY['like', 'like', 'like', 'comment', 'share'])[1 + floor(5 * random())::int], 'interaction ' || i
FROM pg_catalog.generate_series(1, {interactions}) i;
)";

} // namespace

void create_databases(const Settings& settings)
{
    for (const Server& server : settings.servers) {
        pg::ConnectionSettings maintenance = settings.connection(server.name, "demo");
        maintenance.conninfo = fmt::format("host=127.0.0.1 port={} user=postgres dbname=postgres", server.port);
        pg::Connection connection(maintenance);
        connection.query("CREATE DATABASE " + quote_identifier(settings.database));
    }
}

void load_schema(const Settings& settings)
{
    pg::Connection node(settings.connection("n1", "demo load"));
    node.script(kTables);
    say(fmt::format("  n1: users, posts, interactions; loading {} + {} + {} rows", grouped(settings.users),
                    grouped(settings.posts), grouped(settings.interactions)));
    node.script(fmt::format(kRows, fmt::arg("users", settings.users), fmt::arg("posts", settings.posts),
                            fmt::arg("interactions", settings.interactions)));
    node.script("ANALYZE public.users; ANALYZE public.posts; ANALYZE public.interactions");
}

} // namespace keyshift::demo

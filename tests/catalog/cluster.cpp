#include "tests/catalog/cluster.hpp"

#include "core/json.hpp"

namespace keyshift::test {

const char* const kUnshardedSchema = R"sql(
CREATE EXTENSION "uuid-ossp" SCHEMA public;
CREATE TABLE public.users (user_id uuid PRIMARY KEY DEFAULT public.uuid_generate_v4(), name text NOT NULL);
CREATE TABLE public.posts (post_id uuid PRIMARY KEY DEFAULT public.uuid_generate_v4(), user_id uuid REFERENCES public.users, content text);
CREATE TABLE public.interactions (interaction_id uuid PRIMARY KEY DEFAULT public.uuid_generate_v4(), post_id uuid NOT NULL REFERENCES public.posts,
    user_id uuid NOT NULL, interaction_type text NOT NULL CHECK (interaction_type IN ('like', 'comment', 'share')), content text);
CREATE INDEX interactions_user ON public.interactions (user_id);
COMMENT ON TABLE public.posts IS 'what users write';
INSERT INTO public.users SELECT public.uuid_generate_v4(), 'user ' || n FROM generate_series(1, 200) n;
INSERT INTO public.posts SELECT public.uuid_generate_v4(), user_id, 'post of ' || name FROM public.users, generate_series(1, 3);
INSERT INTO public.interactions SELECT public.uuid_generate_v4(), post_id, user_id, 'like', NULL FROM public.posts;
)sql";

Cluster::Cluster()
    : name_(unique_name("cluster")), catalog_database_(1, "catalog"), catalog_(catalog_database_.connect("catalog"))
{
    catalog::init(catalog_, name_, name_, false);
}

TestDatabase& Cluster::add_database(DatabaseOwner owner)
{
    databases_.push_back(std::make_unique<TestDatabase>(1, "node", owner));
    return *databases_.back();
}

void Cluster::add_node(std::size_t index)
{
    catalog::add_node(catalog_, {"n" + std::to_string(index + 1), databases_.at(index)->conninfo(), "", false});
}

void Cluster::distribute(const std::string& table, const std::vector<std::string>& key, const std::string& with,
                         std::uint32_t buckets)
{
    catalog::distribute(catalog_, {table, key, buckets, with, offline, false});
}

nlohmann::json found_by_doctor(pg::Connection& catalog)
{
    nlohmann::json found = nlohmann::json::array();
    nlohmann::json all = catalog::doctor(catalog, {});
    for (nlohmann::json& finding : all) {
        if (usual_owner() != DatabaseOwner::plain ||
            (finding["check"] != "right_wanted" && finding["check"] != "role_missing")) {
            found.push_back(std::move(finding));
        }
    }
    return found;
}

std::string one(pg::Connection& connection, const std::string& sql)
{
    return std::string(connection.query(sql).text(0, 0));
}

std::string sqlstate_of(pg::Connection& connection, const std::string& sql)
{
    try {
        connection.script(sql);
    } catch (const pg::SqlError& error) {
        return error.sqlstate();
    } catch (const pg::TransientSqlError& error) {
        return error.sqlstate();
    }
    return {};
}

} // namespace keyshift::test

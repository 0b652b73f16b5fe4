#include "bench/reads/reads.hpp"

#include <stdexcept>

namespace keyshift::bench {

namespace {

constexpr const char* kOfUser =
    "SELECT interaction_id, post_id, interaction_type, content FROM public.interactions WHERE user_id = $1";
constexpr const char* kById = "SELECT user_id, content FROM public.posts WHERE post_id = $1";
constexpr const char* kLikes =
    "SELECT count(*) FILTER (WHERE interaction_type = 'like'), count(*) FILTER (WHERE interaction_type = 'comment') "
    "FROM public.interactions WHERE post_id = $1";
constexpr const char* kPosts = "SELECT p.post_id, p.content, a.name FROM public.posts p JOIN public.users a "
                               "ON a.user_id = p.user_id WHERE p.user_id = $1";
constexpr const char* kOnPosts = "SELECT post_id, interaction_id, interaction_type, user_id FROM public.interactions "
                                 "WHERE post_id = ANY($1::uuid[])";
constexpr const char* kNames = "SELECT user_id, name FROM public.users WHERE user_id = ANY($1::uuid[])";

long long rows_of(const std::vector<pg::Result>& answers)
{
    long long rows = 0;
    for (const pg::Result& answer : answers) {
        rows += answer.rows();
    }
    return rows;
}

long long likes_of(const std::vector<pg::Result>& answers)
{
    long long likes = 0;
    for (const pg::Result& answer : answers) {
        likes += answer.rows() == 0 ? 0 : answer.integer(0, 0);
    }
    return likes;
}

std::vector<std::string> distinct(const std::vector<pg::Result>& answers, int column)
{
    std::set<std::string> values;
    for (const pg::Result& answer : answers) {
        for (int row = 0; row < answer.rows(); ++row) {
            values.emplace(answer.text(row, column));
        }
    }
    return {values.begin(), values.end()};
}

std::string array_of(const std::vector<std::string>& values)
{
    std::string array = "{";
    for (const std::string& value : values) {
        array += (array.size() > 1 ? "," : "") + value;
    }
    return array + "}";
}

using Lists = std::function<std::vector<pg::Result>(Client&, const Question&, const std::vector<std::string>&)>;

/// Three questions, each needs the one before: the posts with their author, what was done to them, and by whom.
long long feed(Client& client, const std::vector<pg::Result>& posts, const Lists& ask_posts, const Lists& ask_users)
{
    const std::vector<pg::Result> done = ask_posts(client, {"on_posts", kOnPosts, ""}, distinct(posts, 0));
    ask_users(client, {"names", kNames, ""}, distinct(done, 3));
    return rows_of(done);
}

Lists owners_of(const Placement& placement)
{
    return [&placement](Client& client, const Question& question, const std::vector<std::string>& keys) {
        std::vector<std::pair<std::size_t, Question>> questions;
        for (const auto& [node, part] : placement.divide(keys)) {
            questions.emplace_back(node, Question{question.name, question.sql, array_of(part)});
        }
        return client.ask(questions);
    };
}

std::vector<pg::Result> everywhere(Client& client, const Question& question, const std::vector<std::string>& keys)
{
    return client.ask_all({question.name, question.sql, array_of(keys)});
}

} // namespace

const std::vector<Read>& all_reads()
{
    static const std::vector<Read> reads{
        {"interactions of a user",
         "SELECT user_id FROM public.users WHERE name LIKE 'user %'",
         {"interactions"},
         "interactions (user_id)",
         "interactions",
         "user_interactions",
         {"--key", "user_id", "--sql",
          "SELECT user_id, interaction_id, post_id, interaction_type, content FROM interactions"}},
        {"a post by its id",
         "SELECT post_id FROM public.posts WHERE content LIKE 'post _%'",
         {"posts"},
         "posts (post_id)",
         "posts",
         "posts_by_id",
         {"--key", "post_id", "--sql", "SELECT post_id, user_id, content FROM posts"}},
        {"likes of a post",
         "SELECT post_id FROM public.interactions WHERE interaction_type = 'comment' GROUP BY post_id",
         {"interactions"},
         "interactions (post_id)",
         "interactions",
         "post_likes",
         {"--key", "post_id", "--sql",
          "SELECT post_id, count(*) FILTER (WHERE interaction_type = 'like') AS likes, "
          "count(*) FILTER (WHERE interaction_type = 'comment') AS comments FROM interactions GROUP BY post_id"}},
        {"feed of a user",
         "SELECT user_id FROM public.users WHERE name LIKE 'user %'",
         {"users", "posts", "interactions"},
         "interactions (post_id)",
         "interactions",
         "user_feed",
         {"--key", "author_id", "--sql",
          "SELECT p.user_id AS author_id, a.name AS author, p.post_id, p.content, i.interaction_id, i.interaction_type, "
          "u.name AS reader FROM posts p JOIN users a ON a.user_id = p.user_id JOIN interactions i ON i.post_id = p.post_id "
          "JOIN users u ON u.user_id = i.user_id"}}};
    return reads;
}

Asking on_all_nodes(const Read& read)
{
    if (read.projection == "user_interactions") {
        return [](Client& client, const std::string& key) {
            return rows_of(client.ask_all({"of_user", kOfUser, key}));
        };
    }
    if (read.projection == "posts_by_id") {
        return [](Client& client, const std::string& key) {
            return rows_of(client.ask_all({"by_id", kById, key}));
        };
    }
    if (read.projection == "post_likes") {
        return [](Client& client, const std::string& key) {
            return likes_of(client.ask_all({"likes", kLikes, key}));
        };
    }
    return [](Client& client, const std::string& key) {
        return feed(client, client.ask_all({"posts", kPosts, key}), everywhere, everywhere);
    };
}

Asking on_owners(const Read& read, const Placement& users, const Placement& interactions)
{
    if (read.projection == "post_likes") {
        return [&](Client& client, const std::string& key) {
            return likes_of(client.ask({{interactions.node_of(key), {"likes", kLikes, key}}}));
        };
    }
    if (read.projection == "user_feed") {
        return [&](Client& client, const std::string& key) {
            const auto posts = client.ask({{users.node_of(key), {"posts", kPosts, key}}});
            return feed(client, posts, owners_of(interactions), owners_of(users));
        };
    }
    return {};
}

Asking of_projection(const Read& read, const Placement& projection)
{
    const bool totals = read.projection == "post_likes";
    const std::string sql =
        read.projection == "user_interactions"
            ? "SELECT interaction_id, post_id, interaction_type, content FROM public.user_interactions WHERE user_id = $1"
        : read.projection == "posts_by_id" ? "SELECT user_id, content FROM public.posts_by_id WHERE post_id = $1"
        : totals                           ? "SELECT likes, comments FROM public.post_likes WHERE post_id = $1"
                 : "SELECT author, post_id, content, interaction_id, interaction_type, reader "
                   "FROM public.user_feed WHERE author_id = $1";
    return
        [&projection, totals, question = Question{read.projection, sql, ""}](Client& client, const std::string& key) {
            const auto answers = client.ask({{projection.node_of(key), {question.name, question.sql, key}}});
            return totals ? likes_of(answers) : rows_of(answers);
        };
}

} // namespace keyshift::bench

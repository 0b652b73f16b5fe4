#pragma once
/// The projections of the demo: what the schema's readers ask by something else than the shard key.

#include <array>

namespace keyshift::demo {

struct Projected {
    const char* name;
    const char* key;
    const char* sql;
};

inline constexpr std::array kProjected{
    Projected{"user_interactions", "user_id",
              "SELECT user_id, interaction_id, post_id, interaction_type, content FROM interactions"},
    Projected{"posts_by_id", "post_id", "SELECT post_id, user_id, content FROM posts"},
    Projected{"post_likes", "post_id",
              "SELECT post_id, count(*) FILTER (WHERE interaction_type = 'like') AS likes, "
              "count(*) FILTER (WHERE interaction_type = 'comment') AS comments, "
              "count(*) FILTER (WHERE interaction_type = 'share') AS shares FROM interactions GROUP BY post_id"},
    Projected{
        "user_feed", "author_id",
        "SELECT p.user_id AS author_id, a.name AS author, p.post_id, p.content, i.interaction_id, i.interaction_type, "
        "u.name AS reader FROM posts p JOIN users a ON a.user_id = p.user_id "
        "JOIN interactions i ON i.post_id = p.post_id JOIN users u ON u.user_id = i.user_id"},
    Projected{"names", "name",
              "SELECT name, count(*) AS holders, min(user_id::text) AS user_id FROM users GROUP BY name"},
};

} // namespace keyshift::demo

#include "demo/workload.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>

namespace keyshift::demo {

namespace {

struct Shape {
    const char* id;
    const char* shard_key;
    const char* insert;
    const char* update; ///< $1 shard key, $2 id, $3 value
    const char* remove; ///< $1 shard key, $2 id
};

const Shape kUsers{
    "user_id", "user_id", "INSERT INTO public.users (user_id, name) VALUES ($1, $2)",
    "UPDATE public.users SET name = $3 WHERE user_id = $1 AND user_id = $2 AND keyshift.must_own('public.users', $1::uuid)",
    "DELETE FROM public.users WHERE user_id = $1 AND user_id = $2 AND keyshift.must_own('public.users', $1::uuid)"};
const Shape kPosts{
    "post_id", "user_id", "INSERT INTO public.posts (user_id, post_id, content) VALUES ($1, $2, $3)",
    "UPDATE public.posts SET content = $3 WHERE user_id = $1 AND post_id = $2 AND keyshift.must_own('public.posts', $1::uuid)",
    "DELETE FROM public.posts WHERE user_id = $1 AND post_id = $2 AND keyshift.must_own('public.posts', $1::uuid)"};
// An interaction's value is "<user_id> <content>": some updates change the user, which moves the row of the projection.
const Shape kInteractions{
    "interaction_id", "post_id",
    "INSERT INTO public.interactions (post_id, interaction_id, user_id, interaction_type, content) VALUES ($1, $2, $3, 'comment', $4)",
    "UPDATE public.interactions SET user_id = $3, content = $4 WHERE post_id = $1 AND interaction_id = $2 AND keyshift.must_own('public.interactions', $1::uuid)",
    "DELETE FROM public.interactions WHERE post_id = $1 AND interaction_id = $2 AND keyshift.must_own('public.interactions', $1::uuid)"};

const Shape& shape(const std::string& table)
{
    return table == "users" ? kUsers : table == "posts" ? kPosts : kInteractions;
}

std::vector<std::string> value_parameters(const std::string& table, const std::string& value)
{
    if (table != "interactions") {
        return {value};
    }
    const std::size_t space = value.find(' ');
    return {value.substr(0, space), value.substr(space + 1)};
}

std::vector<std::string> join(std::vector<std::string> first, const std::vector<std::string>& second)
{
    first.insert(first.end(), second.begin(), second.end());
    return first;
}

} // namespace

Workload::Workload(DatabaseState owned, std::uint32_t seed) : random_(seed)
{
    for (const char* table : {"users", "posts", "interactions"}) {
        Keys& keys = tables_[table];
        keys.rows = std::move(owned[table]);
        for (const auto& [id, row] : keys.rows) {
            keys.ids.push_back(id);
        }
        std::sort(keys.ids.begin(), keys.ids.end());
    }
}

std::string Workload::fresh_uuid()
{
    const std::uint64_t high = random_();
    const std::uint64_t low = random_();
    return fmt::format("{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}", high >> 32U, (high >> 16U) & 0xFFFFU, high & 0xFFFU,
                       low >> 52U, low & 0xFFFFFFFFFFFFU);
}

const std::string* Workload::pick(Keys& keys)
{
    for (int tries = 0; tries < 20 && !keys.ids.empty(); ++tries) {
        const std::string& id = keys.ids[random_() % keys.ids.size()];
        if (keys.rows.at(id).live) {
            return &id;
        }
    }
    return nullptr;
}

std::string Workload::fresh_value(const std::string& table)
{
    const std::string text = fmt::format("{} revision {}", table, ++revision_);
    if (table != "interactions") {
        return text;
    }
    return *pick(tables_.at("users")) + " " + text;
}

Write Workload::insert(const std::string& table)
{
    const std::string id = fresh_uuid();
    const char* parent = table == "posts" ? "users" : "posts";
    const std::string shard_key = table == "users" ? id : *pick(tables_.at(parent));
    const std::string value = fresh_value(table);
    std::vector<std::string> parameters = table == "users" ? std::vector{id} : std::vector{shard_key, id};
    return {table, "insert_" + table,       shape(table).insert, join(parameters, value_parameters(table, value)),
            id,    {true, shard_key, value}};
}

std::optional<Write> Workload::update(const std::string& table)
{
    Keys& keys = tables_.at(table);
    const std::string* id = pick(keys);
    if (id == nullptr) {
        return std::nullopt;
    }
    const RowState& row = keys.rows.at(*id);
    std::string value = fresh_value(table);
    if (table == "interactions" && random_() % 4 != 0) {
        value = row.value.substr(0, row.value.find(' ')) + value.substr(value.find(' '));
    }
    return Write{table,
                 "update_" + table,
                 shape(table).update,
                 join({row.shard_key, *id}, value_parameters(table, value)),
                 *id,
                 {true, row.shard_key, value}};
}

std::optional<Write> Workload::remove(const std::string& table)
{
    Keys& keys = tables_.at(table);
    const std::string* id = pick(keys);
    if (id == nullptr) {
        return std::nullopt;
    }
    const RowState& row = keys.rows.at(*id);
    return Write{
        table, "delete_" + table, shape(table).remove, {row.shard_key, *id}, *id, {false, row.shard_key, row.value}};
}

Write Workload::next()
{
    const auto dice = random_() % 100;
    std::optional<Write> write;
    if (dice < 8) {
        write = update("users");
    } else if (dice < 24) {
        write = update("posts");
    } else if (dice < 27) {
        write = remove("posts");
    } else if (dice < 47) {
        write = update("interactions");
    } else if (dice < 57) {
        write = remove("interactions");
    } else {
        return insert(dice < 60 ? "users" : dice < 68 ? "posts" : "interactions");
    }
    return write ? *write : insert("interactions");
}

void Workload::acknowledged(const Write& write)
{
    Keys& keys = tables_.at(write.table);
    if (!keys.rows.contains(write.id)) {
        keys.ids.push_back(write.id);
    }
    keys.rows[write.id] = write.after;
}

} // namespace keyshift::demo

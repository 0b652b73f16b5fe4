#include "tests/matrix/topic_watch.hpp"

#include "core/json.hpp"

#include <fmt/core.h>

#include <chrono>

namespace keyshift::test {

using namespace std::chrono_literals;

TopicWatch::TopicWatch(const FaultyCluster& cluster)
    : topic_(cluster.topic("users")), consumer_(cluster.broker(), unique_name("watch"))
{
    std::vector<kafka::TopicPartition> begin;
    for (int partition = 0; partition < consumer_.partitions(topic_); ++partition) {
        begin.push_back({topic_, partition, 0});
    }
    consumer_.assign(begin);
}

bool TopicWatch::reaches(const std::map<int, Account>& accounts)
{
    const auto end = std::chrono::steady_clock::now() + 30s;
    while (last_ != accounts) {
        for (const kafka::Message& message : consumer_.poll(1000, 100ms)) {
            take(message);
        }
        if (std::chrono::steady_clock::now() > end) {
            return false;
        }
    }
    // What should not come any more would come now.
    for (const kafka::Message& message : consumer_.poll(1000, 20ms)) {
        take(message);
    }
    return last_ == accounts;
}

std::string TopicWatch::difference(const std::map<int, Account>& accounts) const
{
    std::string text;
    for (const auto& [user, account] : accounts) {
        const auto last = last_.find(user);
        if (last == last_.end() || !(last->second == account)) {
            text += fmt::format(" user {}: turn {} in the table, {} in the topic;", user, account.turn,
                                last == last_.end() ? -1 : last->second.turn);
        }
    }
    return text;
}

void TopicWatch::take(const kafka::Message& message)
{
    const int user = nlohmann::json::parse(message.key.value()).at("user_id");
    const SourcePosition position = SourcePosition::parse(message.header(kHeaderPosition).value_or("")).value();
    const bool repeat = !seen_.emplace(user, position.to_string() + (message.value ? "" : " tombstone")).second;
    const auto newest = newest_.find(user);
    if (newest != newest_.end() && position < newest->second && (!repeat || position.epoch < newest->second.epoch) &&
        disorder_.empty()) {
        disorder_ = fmt::format("user {}: {} came after {} (partition {}, offset {})", user, position.to_string(),
                                newest->second.to_string(), message.partition, message.offset);
    }
    repeats_ += repeat ? 1 : 0;
    newest_[user] = newest == newest_.end() ? position : std::max(newest->second, position);
    if (!message.value) {
        return;
    }
    const auto event = nlohmann::json::parse(*message.value);
    if (event.at("after").is_null()) {
        last_.erase(user);
        return;
    }
    const Account now{event.at("after").at("turn"), event.at("after").at("balance")};
    const auto last = last_.find(user);
    if (!repeat && last != last_.end() && now.turn != last->second.turn + 1 && gap_.empty()) {
        gap_ = fmt::format("user {}: turn {} came after {}", user, now.turn, last->second.turn);
    }
    last_[user] = now;
}

} // namespace keyshift::test

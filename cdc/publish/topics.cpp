#include "cdc/publish/topics.hpp"

#include "core/backoff.hpp"
#include "core/kafka/client.hpp"
#include "core/log.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>

namespace keyshift::cdc {

namespace {

// What the format of a batch adds to a single record, with room to spare for lengths of headers.
constexpr std::size_t kBatchOverhead = 512;
// What a request adds to its batch: names of topic, client and transaction.
constexpr std::size_t kRequestOverhead = 4096;
// librdkafka's own; brokers take it unless somebody changed them.
constexpr std::size_t kUsualLimit = 1'000'000;
constexpr auto kLookAgain = std::chrono::seconds(5);
// A topic that was made just now is not known to every broker at once.
constexpr int kTries = 50;
constexpr auto kPause = std::chrono::milliseconds(50);
constexpr auto kGoneLimit = std::chrono::seconds(1);

ErrorParts other_count(const std::string& topic, int before, const std::string& now)
{
    return {fmt::format("writing to topic {}", topic),
            fmt::format("it had {} partitions and has {} now: records of a key would go to another partition than its "
                        "earlier ones",
                        before, now),
            fmt::format("Let consumers read the topic to its end, then `keyshift cdc accept-partitions {}`: it goes on "
                        "with the new count within a minute, or at once with `keyshift reload`.",
                        topic)};
}

} // namespace

Topics::Topics(const CdcOptions& options, std::string client_id, const SizeLimits& sizes, PartitionCounts& counts,
               std::function<void()> on_wait)
    : options_(options), client_id_(std::move(client_id)), sizes_(sizes), counts_(counts), on_wait_(std::move(on_wait)),
      client_limit_(kafka::message_limit(options.kafka))
{
}

// No lock: nobody else writes.
Topics::Names::const_iterator Topics::find(std::string_view topic) const
{
    if (last_ == known_.end() || last_->first != topic) {
        last_ = known_.find(topic);
    }
    return last_;
}

const std::string& Topics::ensure(const std::string& topic)
{
    if (const auto known = find(topic); known != known_.end()) {
        return known->first;
    }
    const std::optional<int> expected = counts_.of(topic);
    const std::string& name = make(topic, expected.value_or(options_.partitions), expected);
    counts_.note(topic, known_.at(topic).partitions);
    return name;
}

void Topics::ensure_single(const std::string& topic)
{
    if (!known_.contains(topic)) {
        make(topic, 1, std::nullopt);
    }
}

const std::string& Topics::make(const std::string& topic, int partitions, std::optional<int> expected)
{
    kafka::Admin admin(options_.kafka, client_id_, on_wait_);
    kafka::TopicSettings wanted{topic, partitions, options_.replication_factor, {{"cleanup.policy", "delete"}}};
    if (client_limit_ > kUsualLimit) {
        // Whoever allows larger records means the topics too.
        wanted.config["max.message.bytes"] = std::to_string(client_limit_ + kBatchOverhead);
    }
    const bool created = admin.ensure_topic(wanted);
    const int present = created ? partitions : partitions_of(admin, topic);
    if (expected && present != *expected) {
        throw FatalError(other_count(topic, *expected, std::to_string(present)));
    }
    if (created && expected) {
        log::warning(
            "cdc",
            "topic {} was there before and is gone: it is made again and has what comes from now on; `keyshift "
            "cdc snapshot` of its table brings the rows that are there now",
            topic);
    }
    const Known found{present, broker_limit(admin, topic), Clock::now()};
    std::scoped_lock lock(mutex_);
    return known_.emplace(topic, found).first->first;
}

int Topics::partitions_of(kafka::Admin& admin, const std::string& topic) const
{
    for (int tries = 1; tries < kTries; ++tries) {
        if (const int found = admin.partitions(topic); found > 0) {
            return found;
        }
        on_wait_();
        sleep_for(kPause, {});
    }
    throw TransientError(
        {"asking for topic " + topic, "it is there, but no broker knows its partitions yet", "It is tried again."});
}

std::size_t Topics::broker_limit(kafka::Admin& admin, const std::string& topic) const
{
    return asked([&] { return std::strtoull(admin.topic_config(topic, "max.message.bytes").c_str(), nullptr, 10); });
}

/// 0: the broker does not tell.
std::size_t Topics::asked(const std::function<std::size_t()>& ask) const
{
    for (int tries = 1;; ++tries) {
        try {
            return ask();
        } catch (const FatalError&) {
            // DescribeConfigs is not allowed: what is too large is then refused by the broker.
            return 0;
        } catch (const TransientError&) {
            if (tries == kTries) {
                throw;
            }
            on_wait_();
            sleep_for(kPause, {});
        }
    }
}

std::size_t Topics::broker_limit(const std::string& topic)
{
    kafka::Admin admin(options_.kafka, client_id_, on_wait_);
    return broker_limit(admin, topic);
}

std::size_t Topics::limit(std::string_view topic) const
{
    std::size_t most = client_limit_;
    if (const auto known = find(topic); known != known_.end() && known->second.broker_limit > 0) {
        most = std::min(most, known->second.broker_limit);
    }
    most -= std::min(most, kBatchOverhead);
    if (request_bytes_ > 0) {
        most = std::min(most, request_bytes_ - std::min(request_bytes_, kRequestOverhead));
    }
    return std::min(most, sizes_.of(topic).value_or(most));
}

RecordLimits Topics::limits(std::string_view topic) const
{
    const auto known = known_.find(topic);
    return {known == known_.end() ? 0 : known->second.broker_limit, client_limit_, request_bytes_};
}

std::size_t Topics::request_limit()
{
    if (client_limit_ <= kUsualLimit) {
        return SIZE_MAX;
    }
    kafka::Admin admin(options_.kafka, client_id_, on_wait_);
    request_bytes_ = asked([&] { return admin.least_of_brokers("socket.request.max.bytes"); });
    return request_bytes_ == 0 ? SIZE_MAX : request_bytes_ - std::min(request_bytes_, kRequestOverhead);
}

bool Topics::takes(const std::string& topic, std::size_t bytes)
{
    if (bytes <= limit(topic)) {
        return true;
    }
    Known& known = known_.find(topic)->second;
    if (Clock::now() - known.looked_at < kLookAgain || bytes + kBatchOverhead > client_limit_) {
        return false;
    }
    const std::size_t broker = broker_limit(topic);
    request_limit();
    std::scoped_lock lock(mutex_);
    known.broker_limit = broker;
    known.looked_at = Clock::now();
    return bytes <= limit(topic);
}

std::optional<std::string> Topics::gone() const
{
    const auto present = kafka::Admin(options_.kafka, client_id_).topics(kGoneLimit);
    if (!present) {
        return std::nullopt;
    }
    std::scoped_lock lock(mutex_);
    const auto lost = std::ranges::find_if(known_, [&](const auto& known) { return !present->contains(known.first); });
    return lost == known_.end() ? std::nullopt : std::optional(lost->first);
}

std::optional<ErrorParts> Topics::outgrown(const std::string& topic, std::int32_t partition) const
{
    std::scoped_lock lock(mutex_);
    const auto known = known_.find(topic);
    if (known == known_.end() || partition < known->second.partitions) {
        return std::nullopt;
    }
    return other_count(topic, known->second.partitions, "more");
}

} // namespace keyshift::cdc

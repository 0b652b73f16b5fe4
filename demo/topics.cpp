#include "demo/topics.hpp"

#include "core/change_event.hpp"

#include <algorithm>
#include <simdjson.h>

#include <chrono>
#include <functional>
#include <unordered_set>

namespace keyshift::demo {

namespace {

/// The folding of one topic.
class Fold {
public:
    Fold(std::string table, Folded& result) : table_(std::move(table)), result_(result) {}

    void take(const kafka::Message& message)
    {
        ++result_.records;
        check_position(message);
        if (message.value) {
            apply(*message.value);
        }
    }

private:
    void check_position(const kafka::Message& message)
    {
        const auto position = SourcePosition::parse(message.header(kHeaderPosition).value_or(""));
        if (!position) {
            throw FatalError({"reading topic " + message.topic, "a record without " + std::string(kHeaderPosition),
                              "This must never happen."});
        }
        const std::string identity = *message.key + position->to_string() + (message.value ? "v" : "t");
        const bool repeat = !seen_.insert(std::hash<std::string>{}(identity)).second;
        SourcePosition& last = last_[*message.key];
        result_.repeats += repeat ? 1 : 0;
        result_.backward += !repeat && *position < last ? 1 : 0;
        last = *position;
    }

    void apply(const std::string& json)
    {
        const simdjson::dom::element event = parser_.parse(json);
        const bool live = !event["after"].is_null();
        const simdjson::dom::element row = live ? event["after"] : event["before"];
        const ComparedRow compared = compared_row(table_, [&](const char* column) {
            std::string_view text;
            return row[column].get(text) == simdjson::SUCCESS ? std::string(text) : std::string();
        });
        if (live) {
            result_.state[table_][compared.id] = compared.state;
        } else {
            result_.state[table_].erase(compared.id);
        }
    }

    std::string table_;
    Folded& result_;
    simdjson::dom::parser parser_;
    std::unordered_map<std::string, SourcePosition> last_;
    std::unordered_set<std::size_t> seen_;
};

void read_topic(kafka::Consumer& consumer, const std::string& topic, Fold& fold)
{
    std::vector<kafka::TopicPartition> from;
    std::vector<std::int64_t> ends;
    for (int partition = 0; partition < consumer.partitions(topic); ++partition) {
        const auto [first, end] = consumer.watermarks(topic, partition);
        from.push_back({topic, partition, first});
        ends.push_back(end);
    }
    consumer.assign(from);
    const auto all_read = [&] {
        return std::ranges::all_of(from, [&](const kafka::TopicPartition& next) {
            return consumer.passed(topic, next.partition, next.offset, ends[static_cast<std::size_t>(next.partition)]);
        });
    };
    while (!all_read()) {
        for (const kafka::Message& message : consumer.poll(5000, std::chrono::milliseconds(1000))) {
            from[static_cast<std::size_t>(message.partition)].offset = message.offset + 1;
            fold.take(message);
        }
    }
}

} // namespace

Folded fold_topics(const Settings& settings)
{
    Folded result;
    kafka::Consumer consumer(settings.kafka(), "demo-check");
    for (const char* table : {"users", "posts", "interactions"}) {
        Fold fold(table, result);
        read_topic(consumer, data_topic(settings.prefix, "public", table), fold);
    }
    return result;
}

} // namespace keyshift::demo

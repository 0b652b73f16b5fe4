#include "projections/commands/comparison.hpp"
#include "projections/commands/composite.hpp"
#include "projections/event_mapper.hpp"
#include "projections/projections.hpp"
#include "projections/target.hpp"

#include "core/json.hpp"
#include "core/kafka/client.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace keyshift::projections {

namespace {

using namespace std::chrono_literals;
using Json = nlohmann::json;

/// A register of the key, with what made it.
struct Row {
    std::string primary_key;
    SourcePosition version;
    bool live = false;
    Json made_by; ///< null: its event is not among the records that were read
};

class Explanation {
public:
    Explanation(pg::Connection& catalog, const ProjectionRecord& record, const std::vector<std::string>& key,
                const ExplainOptions& options)
        : catalog_(catalog), definition_(record.definition), options_(options),
          target_(catalog.settings(), definition_, Target::Progress::elsewhere), keys_(catalog.settings(), definition_),
          mapper_(definition_, &keys_),
          topic_(data_topic(options.topic_prefix, definition_.base.schema, definition_.base.name))
    {
        if (const auto start = record.start_offsets.find(topic_); start != record.start_offsets.end()) {
            start_ = start->second;
        }
        if (key.size() != definition_.key.size()) {
            throw Error(ErrorKind::usage, {"projection explain " + definition_.name,
                                           fmt::format("its key has {} column(s), {} value(s) were given",
                                                       definition_.key.size(), key.size()),
                                           fmt::format("Give the key: ({}).", fmt::join(definition_.key, ", "))});
        }
        key_.base.resize(definition_.base_columns.size());
        for (std::size_t at = 0; at < key.size(); ++at) {
            key_.base[definition_.base_column(definition_.key_base[at])] = key[at];
        }
        key_.key_hash = target_.key_hash(key_);
        if (!key_.key_hash) {
            throw Error(ErrorKind::usage, {"projection explain " + definition_.name, "this is no value of its key",
                                           "Give each value as PostgreSQL prints it."});
        }
    }

    Json run(std::stop_token stop)
    {
        const BucketId bucket = target_.bucket_of(key_);
        const std::string node = target_.owner(bucket);
        read_rows(target_.connection(node), bucket);
        read_progress(target_.connection(node));
        read_topic(stop);
        Json rows = Json::array();
        for (const Row& row : rows_) {
            rows.push_back({{"primary_key", row.primary_key},
                            {"live", row.live},
                            {"version", row.version.to_string()},
                            {"made_by", row.made_by}});
        }
        return {{"name", definition_.name},
                {"generation", definition_.generation},
                {"bucket", number(bucket)},
                {"node", node},
                {"topic", topic_},
                {"records_read", read_},
                {"rows", rows},
                {"events", events_}};
    }

private:
    void read_rows(pg::Connection& node, BucketId bucket)
    {
        std::vector<std::string> primary;
        for (const std::string& name : definition_.pk_names) {
            primary.push_back("q." + quote_identifier(name));
        }
        std::string condition;
        std::vector<pg::Parameter> values;
        for (std::size_t at = 0; at < definition_.key.size(); ++at) {
            condition += fmt::format("{}q.{} = ${}::{}", at == 0 ? "" : " AND ", quote_identifier(definition_.key[at]),
                                     at + 1, definition_.key_types[at]);
            values.emplace_back(*key_.base[definition_.base_column(definition_.key_base[at])]);
        }
        const pg::Result held =
            node.query(fmt::format("SELECT {}, _epoch, _lsn, _seq, _live FROM ONLY {} q WHERE {} ORDER BY 1",
                                   row_key_expression(primary),
                                   catalog::leaf_name(definition_.table(), bucket).quoted(), condition),
                       values);
        for (int row = 0; row < held.rows(); ++row) {
            const SourcePosition version{Epoch{static_cast<std::uint64_t>(held.integer(row, 1))},
                                         Lsn{static_cast<std::uint64_t>(held.integer(row, 2))},
                                         static_cast<std::uint64_t>(held.integer(row, 3))};
            Json made;
            if (version == SourcePosition()) {
                made = "the rows that were there before the projection's first event";
            }
            rows_.push_back({Json::parse(held.text(row, 0)).dump(), version, held.boolean(row, 4), made});
        }
    }

    void read_progress(pg::Connection& node)
    {
        const pg::Result rows = node.query(
            "SELECT partition, next_offset FROM keyshift.projection_progress WHERE projection = $1 AND generation = $2 AND topic = $3",
            {definition_.name, std::to_string(definition_.generation), topic_});
        for (int row = 0; row < rows.rows(); ++row) {
            next_[static_cast<std::int32_t>(rows.integer(row, 0))] = rows.integer(row, 1);
        }
    }

    /// The newest records of each partition.
    void read_topic(const std::stop_token& stop)
    {
        kafka::Consumer consumer(options_.kafka, "keyshift-projection-explain");
        std::map<std::int32_t, std::int64_t> ends;
        std::vector<kafka::TopicPartition> from;
        for (std::int32_t partition = 0; partition < consumer.partitions(topic_); ++partition) {
            const auto [first, end] = consumer.watermarks(topic_, partition);
            const std::int64_t begin = std::max(first, end - options_.records);
            if (begin < end) {
                ends[partition] = end;
                from.push_back({topic_, partition, begin});
            }
        }
        consumer.assign(from);
        std::map<std::int32_t, std::int64_t> at;
        for (const kafka::TopicPartition& partition : from) {
            at[partition.partition] = partition.offset;
        }
        const auto done = [&] {
            return std::all_of(at.begin(), at.end(), [&](const auto& place) {
                return place.second >= ends.at(place.first) ||
                       consumer.passed(topic_, place.first, place.second, ends.at(place.first));
            });
        };
        while (!done() && !stop.stop_requested()) {
            for (const kafka::Message& message : consumer.poll(1000, 200ms)) {
                at[message.partition] = message.offset + 1;
                ++read_;
                explain_record(message);
            }
        }
    }

    void explain_record(const kafka::Message& message)
    {
        const Mapped mapped = mapper_.map(message);
        if (const auto* rejection = std::get_if<Rejection>(&mapped)) {
            const bool ours = std::any_of(rows_.begin(), rows_.end(),
                                          [&](const Row& row) { return row.primary_key == rejection->row; });
            if (ours) {
                add_event(message, rejection->row, "", "rejected: " + rejection->reason + ", " + rejection->detail);
            }
            return;
        }
        for (const RowChange& change : std::get<std::vector<RowChange>>(mapped)) {
            if (target_.key_hash(change) == key_.key_hash) {
                explain_change(message, change);
            }
        }
    }

    void explain_change(const kafka::Message& message, const RowChange& change)
    {
        const std::string identity = row_identity(definition_, change.base);
        const auto row =
            std::find_if(rows_.begin(), rows_.end(), [&](const Row& held) { return held.primary_key == identity; });
        std::string outcome;
        if (row != rows_.end() && row->version == change.version) {
            outcome = change.live && !row->live ? "made the tombstone: the definition's WHERE does not take the row"
                                                : "made the row as it is";
            row->made_by = {
                {"partition", message.partition}, {"offset", message.offset}, {"at_ms", message.timestamp_ms}};
        } else if (const auto start = start_.find(message.partition);
                   start != start_.end() && message.offset < start->second) {
            outcome = "came before the projection's first event: the rows that were there stand for it";
        } else if (const auto next = next_.find(message.partition);
                   next == next_.end() || message.offset >= next->second) {
            outcome = "not applied yet";
        } else if (is_rejected(message)) {
            outcome = "rejected: `keyshift rejections list " + definition_.name + "`";
        } else if (row == rows_.end()) {
            outcome = "was applied, and is gone: `keyshift projection verify " + definition_.name + "`";
        } else if (change.version < row->version) {
            outcome = "lost: " + row->version.to_string() + " is newer";
        } else {
            outcome = "newer than the row, and yet not there: `keyshift projection repair " + definition_.name + "`";
        }
        add_event(message, identity, change.live ? "row" : "tombstone", outcome);
    }

    bool is_rejected(const kafka::Message& message)
    {
        return catalog_
                   .query(
                       "SELECT FROM keyshift.rejection WHERE projection = $1 AND topic = $2 AND partition = $3 AND kafka_offset = $4",
                       {definition_.name, topic_, std::to_string(message.partition), std::to_string(message.offset)})
                   .rows() > 0;
    }

    void add_event(const kafka::Message& message, const std::string& row, const std::string& change,
                   const std::string& outcome)
    {
        events_.push_back({{"partition", message.partition},
                           {"offset", message.offset},
                           {"version", message.header(kHeaderPosition).value_or("")},
                           {"primary_key", row},
                           {"change", change},
                           {"outcome", outcome}});
    }

    pg::Connection& catalog_;
    const Definition& definition_;
    const ExplainOptions& options_;
    Target target_;
    ComputedKeys keys_;
    EventMapper mapper_;
    std::string topic_;
    RowChange key_;
    std::vector<Row> rows_;
    std::map<std::int32_t, std::int64_t> start_; ///< the projection's first event of each partition
    std::map<std::int32_t, std::int64_t> next_;
    std::int64_t read_ = 0;
    Json events_ = Json::array();
};

} // namespace

Json explain(pg::Connection& catalog, const std::string& name, const std::vector<std::string>& key,
             const ExplainOptions& options, std::stop_token stop)
{
    const ProjectionRecord record = read_projection(catalog, routed_member(catalog, name));
    return Explanation(catalog, record, key, options).run(std::move(stop));
}

} // namespace keyshift::projections

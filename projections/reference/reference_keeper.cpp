#include "projections/reference/reference_keeper.hpp"

#include "catalog/reference_copy.hpp"
#include "core/failpoint.hpp"
#include "core/json.hpp"
#include "core/log.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace keyshift::projections {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

/// Events that wait for the home's word that nothing is missing before them. A transaction that does not fit is taken from
/// the home's rows instead.
constexpr std::size_t kMostBytes = 32U << 20U;

std::vector<QualifiedName> names_of(const std::vector<catalog::CapturedTable>& tables)
{
    std::vector<QualifiedName> names;
    std::ranges::transform(tables, std::back_inserter(names), &catalog::CapturedTable::name);
    return names;
}

} // namespace

ReferenceKeeper::ReferenceKeeper(const pg::ConnectionSettings& catalog, const ProjectionOptions& options,
                                 metrics::ReferenceMetrics& metrics, std::string node,
                                 const std::vector<catalog::CapturedTable>& tables, std::stop_token stop)
    : stop_(std::move(stop)), catalog_settings_(catalog), options_(options), metrics_(metrics),
      catalog_(std::make_unique<pg::Connection>(catalog)), at_(catalog::node(*catalog_, node)),
      home_node_(catalog::node(*catalog_, tables.front().node)), node_(at_.connection("reference tables")),
      consumer_(options.kafka, fmt::format("keyshift-reference-{}-{}", home_node_.name, at_.name),
                [this] { end_when_stopped(); }),
      control_(control_topic(options.topic_prefix))
{
    // Rows that a policy hides would be missing; what is lost with the node's last moments is written again.
    node_.script("SET row_security = off; SET synchronous_commit = off");
    owner_.emplace(node_, names_of(tables));
    std::map<QualifiedName, catalog::TableDefinition> definitions;
    for (const catalog::CapturedTable& table : tables) {
        definitions[table.name] = catalog::read_table(home(), table.name);
    }
    for (const catalog::CapturedTable& table : catalog::referenced_first(tables, definitions)) {
        Copy& copy = copies_.emplace_back();
        copy.table = read_reference_table(home(), table, options.forms, options.topic_prefix);
    }
    for (Copy& copy : copies_) {
        copy.reader = std::make_unique<ReferenceReader>(copy.table);
        copy.writer = std::make_unique<CopyWriter>(node_, copy.table);
    }
}

/// A broker that is away holds up no shutdown.
void ReferenceKeeper::end_when_stopped() const
{
    if (stop_.stop_requested()) {
        throw TransientError(
            {"keeping reference tables on " + at_.name, "the daemon stops", "It goes on at its next start."});
    }
}

pg::Connection& ReferenceKeeper::home()
{
    if (!home_) {
        home_ = std::make_unique<pg::Connection>(home_node_.connection("reference tables"));
        home_->script("SET row_security = off");
    }
    return *home_;
}

/// A topic that may lose a row's last event is none to keep a copy from.
std::optional<ErrorParts> ReferenceKeeper::lossy_topic(const Copy& copy)
{
    kafka::Admin admin(options_.kafka, "keyshift-reference", [this] { end_when_stopped(); });
    admin.ensure_topic(
        {copy.table.topic, options_.partitions, options_.replication_factor, {{"cleanup.policy", "delete"}}});
    if (admin.topic_config(copy.table.topic, "cleanup.policy").find("compact") != std::string::npos) {
        return ErrorParts{"keeping copies of " + copy.table.name.to_string(),
                          "topic " + copy.table.topic + " is compacted: it may lose the event that deleted a row",
                          "Set cleanup.policy=delete on the topic, then restart the daemon."};
    }
    return std::nullopt;
}

void ReferenceKeeper::check_shape(Copy& copy)
{
    const std::string wanted = catalog::shape_of_table(home(), copy.table.name);
    const std::string found = catalog::shape_of_table(node_, copy.table.name);
    if (wanted == found) {
        if (copy.misfit || wanted != copy.table.definition) {
            again(copy, "its columns have changed");
        }
        return;
    }
    if (copy.state.held) {
        owner_->fill_again(copy.table.name);
    }
    copy.state = {};
    copy.misfit = true;
    copy.trouble = ErrorParts{
        fmt::format("the copy of {} on {}", copy.table.name.to_string(), at_.name),
        fmt::format("its columns are ({}), those of its home {} are ({})", found, home_node_.name, wanted),
        fmt::format("Run on {} what was run on {}; the copy then goes on by itself.", at_.name, home_node_.name)};
}

void ReferenceKeeper::prepare(Copy& copy)
{
    copy.state = owner_->load(copy.table.name);
    check_shape(copy);
    if (!copy.trouble) {
        copy.trouble = lost_in_events(copy.table);
    }
    if (!copy.trouble) {
        copy.trouble = lossy_topic(copy);
    }
    if (!copy.trouble && (!copy.state.held || copy.state.shape != copy.table.shape)) {
        fill(copy);
    }
}

TopicOffsets ReferenceKeeper::ends_of(const Copy& copy)
{
    TopicOffsets ends;
    ends[control_][0] = consumer_.watermarks(control_, 0).second;
    for (std::int32_t partition = 0; partition < consumer_.partitions(copy.table.topic); ++partition) {
        ends[copy.table.topic][partition] = consumer_.watermarks(copy.table.topic, partition).second;
    }
    return ends;
}

void ReferenceKeeper::fill(Copy& copy)
{
    copy.state = {};
    report(copy, std::nullopt);
    CopyFill filling(node_, home(), *owner_, copy.table, [&](const std::string& what) {
        report(copy, ErrorParts{"filling the copy of " + copy.table.name.to_string(), what, "It waits for that."});
    });
    copy.state = filling.run(ends_of(copy), stop_);
    log::info("references", "table={} node={} filled", copy.table.name.to_string(), at_.name);
}

/// Also persisted: whoever comes next fills it.
void ReferenceKeeper::again(Copy& copy, const std::string& why)
{
    log::warning("references", "table={} node={} is filled anew: {}", copy.table.name.to_string(), at_.name, why);
    owner_->fill_again(copy.table.name);
    anew_ = true;
}

void ReferenceKeeper::assign()
{
    std::vector<kafka::TopicPartition> positions;
    std::int64_t control = consumer_.watermarks(control_, 0).second;
    for (Copy& copy : copies_) {
        if (!copy.kept()) {
            continue;
        }
        TopicOffsets& known = copy.state.offsets;
        control = known[control_].contains(0) ? std::min(control, known[control_][0]) : control;
        for (std::int32_t partition = 0; partition < consumer_.partitions(copy.table.topic); ++partition) {
            const std::int64_t first = consumer_.watermarks(copy.table.topic, partition).first;
            auto& offsets = known[copy.table.topic];
            const std::int64_t from = offsets.contains(partition) ? offsets[partition] : first;
            if (from < first) {
                again(copy,
                      fmt::format("partition {} of its topic begins at {}, it has read to {}", partition, first, from));
                return;
            }
            positions.push_back({copy.table.topic, partition, from});
        }
    }
    const std::int64_t first = consumer_.watermarks(control_, 0).first;
    for (Copy& copy : copies_) {
        if (copy.kept() && control < first) {
            again(copy, "records of the control topic were deleted before it had them");
        }
    }
    positions.push_back({control_, 0, std::max(control, first)});
    next_.clear();
    for (const kafka::TopicPartition& position : positions) {
        next_[position.topic][position.partition] = position.offset;
    }
    consumer_.assign(positions);
}

void ReferenceKeeper::take(const kafka::Message& message)
{
    next_[message.topic][message.partition] = message.offset + 1;
    if (message.topic == control_) {
        take_control(message);
        return;
    }
    for (std::size_t index = 0; index < copies_.size(); ++index) {
        if (copies_[index].table.topic == message.topic && copies_[index].kept()) {
            take_event(index, message);
        }
    }
}

void ReferenceKeeper::take_control(const kafka::Message& message)
{
    const auto record = message.value ? parse_control_record(*message.value) : std::nullopt;
    if (!record) {
        return;
    }
    if (const auto* progress = std::get_if<ProgressRecord>(&*record); progress && progress->node == home_node_.name) {
        newest_ = *progress;
        for (Copy& copy : copies_) {
            if (copy.kept() && copy.state.timeline != 0 && copy.state.timeline != progress->timeline) {
                again(copy, "its home is on another timeline");
            }
            copy.state.timeline = progress->timeline;
        }
    }
    const auto* truncation = std::get_if<TruncateRecord>(&*record);
    if (!truncation || truncation->node != home_node_.name) {
        return;
    }
    for (std::size_t index = 0; index < copies_.size(); ++index) {
        if (copies_[index].table.name.to_string() == truncation->table && copies_[index].kept()) {
            ReferenceEvent event;
            event.kind = ReferenceEvent::Kind::truncate;
            event.position = truncation->position;
            order(index, std::move(event), message);
        }
    }
}

void ReferenceKeeper::take_event(std::size_t index, const kafka::Message& message)
{
    Copy& copy = copies_[index];
    auto read = copy.reader->read(message);
    if (auto* event = std::get_if<ReferenceEvent>(&read)) {
        order(index, std::move(*event), message);
    } else if (const auto* rejection = std::get_if<Rejection>(&read)) {
        metrics_.rows(copy.table.name.to_string(), at_.name, "rejected").add();
        const auto position = SourcePosition::parse(message.header(kHeaderPosition).value_or(""));
        if (!position) {
            log::warning("references", "topic={} partition={} offset={} left out: {}", message.topic, message.partition,
                         message.offset, rejection->detail);
        } else if (position->commit_lsn >= copy.state.applied) {
            again(copy, rejection->detail);
        }
    }
}

void ReferenceKeeper::order(std::size_t index, ReferenceEvent event, const kafka::Message& message)
{
    if (copies_[index].state.has(event)) {
        return;
    }
    const bool control = message.topic == control_;
    order_.add({index, std::move(event), control ? -1 : message.partition, message.offset, message.timestamp_ms},
               sizeof(OrderedEvent) + copies_[index].table.columns.size() * sizeof(BaseRow::value_type) +
                   (message.value ? message.value->size() : 0));
    if (order_.bytes() > kMostBytes) {
        for (Copy& copy : copies_) {
            if (copy.kept()) {
                again(copy, "more changes wait for the end of a transaction than fit into memory");
            }
        }
    }
}

/// Asks Kafka for the ends once the home has promised more, and somebody waits for it.
void ReferenceKeeper::promise()
{
    const bool waited_for =
        !order_.empty() || Clock::now() - stored_ > 1s ||
        std::ranges::any_of(copies_, [](const Copy& copy) { return copy.kept() && !copy.state.live; });
    if (promise_ || !newest_ || newest_->lsn <= promised_ || !waited_for) {
        return;
    }
    Promise made{newest_->lsn, {}};
    for (const Copy& copy : copies_) {
        if (copy.kept()) {
            made.ends.merge(ends_of(copy));
        }
    }
    made.ends.erase(control_); // what the promise covers there came before it
    promised_ = made.lsn;
    promise_ = std::move(made);
}

bool ReferenceKeeper::kept_promise()
{
    if (!promise_) {
        return false;
    }
    for (const auto& [topic, partitions] : promise_->ends) {
        for (const auto& [partition, end] : partitions) {
            const auto read = next_[topic].find(partition);
            if (read == next_[topic].end()) {
                log::info("references", "node={} topic {} has more partitions than before", at_.name, topic);
                anew_ = true;
                return false;
            }
            if (!consumer_.passed(topic, partition, read->second, end)) {
                return false;
            }
        }
    }
    return true;
}

void ReferenceKeeper::run()
{
    for (Copy& copy : copies_) {
        prepare(copy);
    }
    if (!anew_) {
        assign();
    }
    while (!stop_.stop_requested() && !anew_) {
        look_around();
        for (const kafka::Message& message : consumer_.poll(options_.batch_rows, 50ms)) {
            take(message);
            if (anew_) {
                return;
            }
        }
        promise();
        if (kept_promise() && !anew_) {
            apply(promise_->lsn);
            promise_.reset();
        }
    }
}

} // namespace keyshift::projections

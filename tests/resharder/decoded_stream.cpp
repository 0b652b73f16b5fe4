#include "tests/resharder/decoded_stream.hpp"

#include "core/backoff.hpp"
#include "core/json.hpp"

#include <algorithm>
#include <map>
#include <unistd.h>
#include <utility>

namespace keyshift::test {

namespace {

using namespace std::chrono_literals;

/// Reads "name[type]:value ..." as test_decoding prints a tuple.
class TupleText {
public:
    explicit TupleText(std::string_view text) : text_(text) {}

    std::map<std::string, cdc::OwnedDatum> read()
    {
        std::map<std::string, cdc::OwnedDatum> values;
        while (!text_.empty()) {
            const std::size_t open = text_.find('[');
            std::string name(text_.substr(0, open));
            if (name.starts_with('"')) {
                name = name.substr(1, name.size() - 2);
            }
            text_.remove_prefix(text_.find("]:", open) + 2);
            values[name] = value();
            if (text_.starts_with(' ')) {
                text_.remove_prefix(1);
            }
        }
        return values;
    }

private:
    cdc::OwnedDatum value()
    {
        if (!text_.starts_with('\'')) {
            const std::string word(text_.substr(0, text_.find(' ')));
            text_.remove_prefix(word.size());
            if (word == "null") {
                return {cdc::Datum::Kind::null, ""};
            }
            return {word == "unchanged-toast-datum" ? cdc::Datum::Kind::unchanged_toast : cdc::Datum::Kind::text, word};
        }
        std::string content;
        std::size_t at = 1;
        while (text_[at] != '\'' || (at + 1 < text_.size() && text_[at + 1] == '\'')) {
            at += text_[at] == '\'' ? 1 : 0;
            content += text_[at++];
        }
        text_.remove_prefix(at + 1);
        return {cdc::Datum::Kind::text, content};
    }

    std::string_view text_;
};

std::vector<cdc::OwnedDatum> in_order(const cdc::Relation& relation, const std::string& text)
{
    auto values = TupleText(text).read();
    std::vector<cdc::OwnedDatum> tuple;
    for (const auto& column : relation.columns) {
        tuple.push_back(values[column.name]);
    }
    return tuple;
}

cdc::OwnedChange parse_change(std::shared_ptr<const cdc::Relation> relation, std::string rest)
{
    cdc::OwnedChange change;
    const std::string operation = rest.substr(0, rest.find(':'));
    rest = rest.substr(std::min(rest.size(), rest.find(':') + 2));
    const auto& columns = *relation;
    if (operation == "TRUNCATE") {
        change.kind = cdc::ChangeKind::truncate;
    } else if (operation == "DELETE") {
        change.kind = cdc::ChangeKind::remove;
        change.old_is_key = true;
        change.before = in_order(columns, rest);
    } else {
        change.kind = operation == "INSERT" ? cdc::ChangeKind::insert : cdc::ChangeKind::update;
        const std::size_t split = rest.find(" new-tuple: ");
        if (rest.starts_with("old-key: ") && split != std::string::npos) {
            change.old_is_key = true;
            change.before = in_order(columns, rest.substr(9, split - 9));
            rest = rest.substr(split + 12);
        }
        change.after = in_order(columns, rest);
    }
    change.relation = std::move(relation);
    return change;
}

} // namespace

class DecodedSubscription : public cdc::Subscription {
public:
    DecodedSubscription(DecodedStream& stream, std::int64_t move, const std::string& suffix, Lsn begin)
        : stream_(stream), move_(std::to_string(move)), suffix_(suffix), begin_(begin)
    {
        for (const auto& seen : stream.seen_) {
            if (seen.commit_lsn < begin) {
                before_.insert(seen.xid);
                ++next_;
            }
        }
    }

    std::optional<cdc::SubscriptionItem> next(std::chrono::milliseconds wait, std::stop_token) override
    {
        std::unique_lock lock(stream_.mutex_);
        fill();
        if (ready_.empty() && wait > 0ms) {
            stream_.changed_.wait_for(lock, wait, [this] {
                fill();
                return !ready_.empty();
            });
        }
        if (ready_.empty()) {
            return std::nullopt;
        }
        auto item = std::move(ready_.front());
        ready_.pop_front();
        return item;
    }
    void confirm(Lsn) override {}
    bool rest_is_in(const SnapshotFilter& snapshot) const override
    {
        return std::ranges::all_of(before_, [&](std::uint32_t xid) { return snapshot.holds(xid); });
    }
    Lsn received() const override
    {
        const std::lock_guard lock(stream_.mutex_);
        return ready_.empty() ? stream_.received_ : begin_;
    }
    Lsn begin() const override { return begin_; }

private:
    void fill()
    {
        for (; next_ < stream_.seen_.size(); ++next_) {
            const auto& seen = stream_.seen_[next_];
            cdc::OwnedTransaction transaction{seen.commit_lsn, {seen.commit_lsn.value + 1}, seen.xid, {}};
            for (const auto& [leaf, change] : seen.changes) {
                if (leaf.ends_with(suffix_)) {
                    transaction.changes.push_back(change);
                }
            }
            if (!transaction.changes.empty()) {
                ready_.emplace_back(std::move(transaction));
            }
            for (const std::string& barrier : seen.barriers) {
                if (barrier.starts_with(move_ + " ")) {
                    ready_.emplace_back(cdc::BarrierSeen{barrier.substr(move_.size() + 1), seen.commit_lsn});
                }
            }
        }
    }

    DecodedStream& stream_;
    std::string move_;
    std::string suffix_;
    Lsn begin_;
    std::size_t next_ = 0;
    std::set<std::uint32_t> before_;
    std::deque<cdc::SubscriptionItem> ready_;
};

DecodedStream::DecodedStream(pg::ConnectionSettings node, std::string slot, bool consume)
    : node_(std::move(node)), slot_(std::move(slot)), reader_(node_)
{
    if (!consume) {
        const std::string copy = slot_ + "_" + std::to_string(getpid());
        reader_.query("SELECT pg_copy_logical_replication_slot($1, $2, true)", {slot_, copy});
        slot_ = copy;
    }
    thread_ = std::jthread([this](std::stop_token stop) { run(std::move(stop)); });
}

DecodedStream::~DecodedStream()
{
    thread_.request_stop();
    thread_.join();
}

void DecodedStream::run(std::stop_token stop)
{
    pg::Connection connection(node_);
    Lsn polled;
    while (sleep_for(1ms, stop)) {
        const Lsn now = connection.query("SELECT pg_current_wal_flush_lsn()").lsn(0, 0);
        if (now == polled) {
            continue;
        }
        polled = now;
        const std::lock_guard lock(mutex_);
        poll();
        changed_.notify_all();
    }
}

std::shared_ptr<const cdc::Relation> DecodedStream::relation(const std::string& name)
{
    const auto rows = reader_.query(
        "SELECT n.nspname, c.relname, a.attname, coalesce(a.attnum = ANY (i.indkey), false) FROM pg_class c "
        "JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped "
        "LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary WHERE c.oid = to_regclass($1) AND a.attgenerated = '' ORDER BY a.attnum",
        {name});
    auto made = std::make_shared<cdc::Relation>();
    for (int row = 0; row < rows.rows(); ++row) {
        made->name = {std::string(rows.text(row, 0)), std::string(rows.text(row, 1))};
        made->columns.push_back({std::string(rows.text(row, 2)), 0, -1, rows.boolean(row, 3)});
    }
    return made;
}

void DecodedStream::poll()
{
    const Lsn until = reader_.query("SELECT pg_current_wal_flush_lsn()").lsn(0, 0);
    const auto rows = reader_.query("SELECT lsn, data FROM pg_logical_slot_get_changes($1, $2::pg_lsn, NULL)",
                                    {slot_, until.to_string()});
    std::map<std::string, std::shared_ptr<const cdc::Relation>> relations;
    for (int row = 0; row < rows.rows(); ++row) {
        const std::string data(rows.text(row, 1));
        if (data.starts_with("BEGIN ")) {
            open_ = {};
            open_.xid = static_cast<std::uint32_t>(std::stoul(data.substr(6)));
        } else if (data.starts_with("COMMIT ")) {
            open_.commit_lsn = rows.lsn(row, 0);
            seen_.push_back(std::move(open_));
        } else if (data.starts_with("message: ")) {
            const auto content = nlohmann::json::parse(data.substr(data.find("content:") + 8), nullptr, false);
            if (content.is_object() && content.value("type", "") == "barrier") {
                open_.barriers.push_back(std::to_string(content.at("move").get<std::int64_t>()) + " " +
                                         content.at("id").get<std::string>());
            }
        } else if (data.starts_with("table public.")) {
            const std::size_t colon = data.find(": ");
            const std::string names = data.substr(6, colon - 6);
            for (std::size_t at = 0; at < names.size();) { // TRUNCATE names several tables
                const std::size_t comma = std::min(names.find(", ", at), names.size());
                const std::string name = names.substr(at, comma - at);
                auto& known = relations[name];
                known = known ? known : relation(name);
                open_.changes.emplace_back(known->name.name, parse_change(known, data.substr(colon + 2)));
                at = comma + 2;
            }
        }
    }
    received_ = std::max(received_, until);
}

std::unique_ptr<cdc::Subscription> DecodedStream::subscribe(std::int64_t move, const std::string&, BucketId bucket,
                                                            std::optional<Lsn> from)
{
    const std::lock_guard lock(mutex_);
    poll();
    went_back_ += from && *from < received_ ? 1 : 0;
    return std::make_unique<DecodedSubscription>(*this, move, "_b" + std::to_string(number(bucket)),
                                                 from.value_or(received_));
}

bool DecodedStream::wait_acknowledged(Lsn lsn, std::chrono::milliseconds wait)
{
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, wait, [&] { return received_ >= lsn; });
}

} // namespace keyshift::test

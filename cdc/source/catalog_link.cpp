#include "cdc/source/catalog_link.hpp"

#include "core/error.hpp"
#include "core/log.hpp"

#include <utility>

namespace keyshift::cdc {

CatalogLink::CatalogLink(pg::ConnectionSettings catalog, std::string node,
                         std::function<void(pg::Connection&)> each_second, std::function<void()> wake)
    : settings_(std::move(catalog)), node_(std::move(node)), each_second_(std::move(each_second)),
      wake_(std::move(wake))
{
    thread_ = std::jthread([this](std::stop_token stop) { run(stop); });
}

CatalogLink::~CatalogLink() = default;

std::shared_ptr<const CatalogView> CatalogLink::fresh_view(std::stop_token stop, WhenAway when_away)
{
    std::unique_lock lock(mutex_);
    // An attempt that runs already may have read before what the caller knows of.
    const std::uint64_t wanted = attempts_ + 2;
    while (attempts_ < wanted) {
        refresh_wanted_ = true;
        changed_.notify_all();
        const std::uint64_t before = attempts_;
        if (!changed_.wait(lock, stop, [&] { return attempts_ != before; })) {
            throw TransientError({"reading the catalog", "a stop was requested", ""});
        }
        if (error_) {
            break;
        }
    }
    if (error_ && (!view_ || when_away == WhenAway::fail)) {
        throw TransientError(*error_);
    }
    return view_;
}

std::shared_ptr<const CatalogView> CatalogLink::view() const
{
    std::scoped_lock lock(mutex_);
    return view_;
}

void CatalogLink::refresh()
{
    std::scoped_lock lock(mutex_);
    refresh_wanted_ = true;
    changed_.notify_all();
}

void CatalogLink::check(const PlacementMessage& message)
{
    std::scoped_lock lock(mutex_);
    to_check_.push_back(message);
    refresh_wanted_ = true;
    changed_.notify_all();
}

std::vector<CheckedMessage> CatalogLink::take_checked()
{
    std::scoped_lock lock(mutex_);
    return std::exchange(checked_, {});
}

void CatalogLink::run(std::stop_token stop)
{
    std::optional<pg::Connection> connection;
    while (!stop.stop_requested()) {
        std::optional<ErrorParts> error;
        try {
            if (!connection) {
                connection.emplace(settings_);
            }
            work(*connection);
        } catch (const Error& failed) {
            error = failed.parts();
            connection.reset();
        }
        std::unique_lock lock(mutex_);
        if (error && !error_) {
            log::warning("cdc", "node={} the catalog does not answer, the stream goes on without: {}", node_,
                         error->why);
        }
        error_ = std::move(error);
        ++attempts_;
        changed_.notify_all();
        changed_.wait_for(lock, stop, std::chrono::seconds(1), [this] { return refresh_wanted_; });
        refresh_wanted_ = false;
    }
    if (connection) {
        try {
            each_second_(*connection); // the last word
        } catch (const Error& failed) {
            log::warning("cdc", "node={} the stream's last state was not written to the catalog: {}", node_,
                         failed.what());
        }
    }
}

void CatalogLink::work(pg::Connection& catalog)
{
    std::vector<PlacementMessage> questions;
    {
        std::scoped_lock lock(mutex_);
        questions = to_check_;
    }
    std::vector<CheckedMessage> answers;
    for (const PlacementMessage& message : questions) {
        answers.push_back(checked(catalog, message));
    }
    auto view = std::make_shared<const CatalogView>(read_catalog_view(catalog, node_));
    {
        std::scoped_lock lock(mutex_);
        view_ = std::move(view);
        to_check_.erase(to_check_.begin(), to_check_.begin() + static_cast<std::ptrdiff_t>(questions.size()));
        checked_.insert(checked_.end(), answers.begin(), answers.end());
        ++readings_;
    }
    if (!answers.empty()) {
        wake_();
    }
    each_second_(catalog);
}

CheckedMessage CatalogLink::checked(pg::Connection& catalog, const PlacementMessage& message) const
{
    const std::string move = std::to_string(message.move);
    const std::string bucket = std::to_string(number(message.bucket));
    const std::string epoch = std::to_string(number(message.epoch));
    const bool fence = message.kind == PlacementMessage::Kind::fence;
    const pg::Result rows = catalog.query(
        "SELECT donor FROM keyshift.move WHERE id = $1::bigint AND token = $2 AND group_name = $3 "
        "AND bucket = $4::int AND epoch = $5::bigint AND $6 = CASE WHEN $7 = 'fence' THEN donor ELSE recipient END "
        "UNION ALL SELECT node FROM keyshift.split WHERE $7 = 'open' AND token = $2 AND group_name = $3 "
        "AND $4::int = ANY (made || bucket) AND epoch = $5::bigint AND node = $6 AND state <> 'undone'",
        {move, message.token, message.group, bucket, epoch, node_, fence ? "fence" : "open"});
    return {message, rows.rows() != 0, rows.rows() == 0 ? std::string() : std::string(rows.text(0, 0))};
}

} // namespace keyshift::cdc

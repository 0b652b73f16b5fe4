#pragma once
/// One stream's link to the catalog, on its own thread: while the catalog is away the stream goes on with what it knows.

#include "cdc/source/captured_tables.hpp"
#include "cdc/source/placement_message.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>
#include <vector>

namespace keyshift::cdc {

/// The catalog's word on a fence or open message.
struct CheckedMessage {
    PlacementMessage message;
    bool accepted = false;
    std::string donor; ///< when accepted
};

class CatalogLink {
public:
    /// `each_second` runs on the link's thread with the catalog connection; `wake` whenever there is news for the stream.
    CatalogLink(pg::ConnectionSettings catalog, std::string node, std::function<void(pg::Connection&)> each_second,
                std::function<void()> wake);
    ~CatalogLink();

    enum class WhenAway { last_known, fail };
    /// A view read after this call. Throws TransientError on stop, or when the catalog does not answer and no older view
    /// may serve or is known.
    std::shared_ptr<const CatalogView> fresh_view(std::stop_token stop, WhenAway when_away);
    /// The newest view and how many were read; nullptr before the first.
    std::shared_ptr<const CatalogView> view() const;
    std::uint64_t readings() const { return readings_.load(); }
    /// Read again now.
    void refresh();

    /// Asks whether the message agrees with keyshift.move; tried until the catalog answers.
    void check(const PlacementMessage& message);
    std::vector<CheckedMessage> take_checked();

private:
    void run(std::stop_token stop);
    void work(pg::Connection& catalog);
    CheckedMessage checked(pg::Connection& catalog, const PlacementMessage& message) const;

    const pg::ConnectionSettings settings_;
    const std::string node_;
    const std::function<void(pg::Connection&)> each_second_;
    const std::function<void()> wake_;
    mutable std::mutex mutex_;
    std::condition_variable_any changed_;
    bool refresh_wanted_ = false;
    std::uint64_t attempts_ = 0; ///< to read the view, failed ones too
    std::shared_ptr<const CatalogView> view_;
    std::optional<ErrorParts> error_; ///< of the last attempt
    std::vector<PlacementMessage> to_check_;
    std::vector<CheckedMessage> checked_;
    std::atomic<std::uint64_t> readings_ = 0;
    std::jthread thread_;
};

} // namespace keyshift::cdc

#pragma once
/// What holds a move back beside its own rate: standbys of a node that are behind, WAL written there faster than is allowed, and
/// WAL that its slot keeps. The limits are read from the live options at each look.

#include "core/lsn.hpp"
#include "core/pg/connection.hpp"
#include "resharder/options.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

namespace keyshift::resharder {

class MoveContext;

/// One node's load as a move sees it. `node` outlives it; one thread.
class NodeLoad {
public:
    NodeLoad(std::shared_ptr<const LiveOptions> options, pg::Connection& node, std::string name, std::string slot)
        : options_(std::move(options)), node_(node), name_(std::move(name)), slot_(std::move(slot))
    {
    }

    /// "throttled: ..." while nothing more should be written there for now.
    std::optional<std::string> too_much();
    /// The same whatever its slot keeps.
    std::optional<std::string> too_much_to_read();

private:
    std::optional<std::string> standby_behind(std::uint64_t most);
    std::optional<std::string> wal_too_fast(std::uint64_t most);
    std::optional<std::string> wal_retained(std::uint64_t most);

    std::shared_ptr<const LiveOptions> options_;
    pg::Connection& node_;
    std::string name_;
    std::string slot_;
    std::optional<Lsn> looked_lsn_;
    std::chrono::steady_clock::time_point looked_at_;
    double ahead_ = 0; ///< bytes of WAL beyond what the rate has allowed so far
    bool blind_said_ = false;
};

/// Waits while either end of the move has too much to do, and says so. Throws TransientError on stop.
void wait_until_light(MoveContext& context, std::stop_token stop);

} // namespace keyshift::resharder

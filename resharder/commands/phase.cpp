#include "resharder/commands/phase.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace keyshift::resharder {

std::string phase(const MoveProgress& move)
{
    switch (move.state) {
    case MoveState::planned:
        return move.waits ? "waits before it begins" : "waits for its turn";
    case MoveState::copying:
        if (move.planned_rows > 0) {
            const double part = static_cast<double>(move.rows) / static_cast<double>(move.planned_rows);
            return fmt::format("copies rows, {:.0f} %", 100 * std::min(part, 1.0));
        }
        return "copies rows";
    case MoveState::indexing:
        return "builds keys and indexes";
    case MoveState::catching_up:
        return move.waits ? "waits to be attached" : "applies what was written meanwhile";
    case MoveState::attached:
        return move.fence_tries > 0 ? fmt::format("waits to switch, {} tries", move.fence_tries)
                                    : "looks for the moment to switch";
    case MoveState::fenced:
        return "opens on the recipient";
    case MoveState::switched:
    case MoveState::settling:
        return move.donor_current ? "moved; the donor keeps its copy current"
                                  : "moved; the donor keeps its frozen copy";
    case MoveState::done:
        return "moved";
    case MoveState::aborting:
        return "is taken back";
    case MoveState::aborted:
        return "taken back";
    }
    return "";
}

std::optional<double> seconds_left(const MoveProgress& move)
{
    if (move.state != MoveState::copying || move.rows_per_second <= 0 || move.planned_rows <= move.rows) {
        return std::nullopt;
    }
    return static_cast<double>(move.planned_rows - move.rows) / move.rows_per_second;
}

} // namespace keyshift::resharder

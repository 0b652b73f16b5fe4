#include "resharder/switch_turn.hpp"

namespace keyshift::resharder {

SwitchTurns::Turn::~Turn()
{
    if (turns_ != nullptr) {
        const std::lock_guard lock(turns_->mutex_);
        turns_->taken_.erase(group_);
    }
}

std::optional<SwitchTurns::Turn> SwitchTurns::try_take(const std::string& group)
{
    const std::lock_guard lock(mutex_);
    if (!taken_.insert(group).second) {
        return std::nullopt;
    }
    return Turn(*this, group);
}

} // namespace keyshift::resharder

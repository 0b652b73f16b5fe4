#include "cdc/source/reading_mode.hpp"

#include <fmt/core.h>

namespace keyshift::cdc {

namespace {

constexpr int kTries = 3;
constexpr int kParallelSince = 160000;

} // namespace

void ReadingMode::begin(Lsn position)
{
    if (!failed_) {
        way_ = Way::streamed;
    }
    if (!failed_ || position > began_) {
        failures_ = 0;
    }
    failed_ = false;
    began_ = position;
}

pg::PgoutputOptions ReadingMode::options(int server_version) const
{
    // The newest protocol that the server has. Two-phase commits are not asked for: they come once they are decided.
    const bool newest = server_version >= kParallelSince;
    pg::PgoutputOptions options;
    options.protocol = newest ? 4 : 3;
    options.streaming = way_ != Way::streamed ? "off" : newest ? "parallel" : "on";
    return options;
}

bool ReadingMode::is_failure(std::string_view sqlstate)
{
    return sqlstate.starts_with("XX") || sqlstate.starts_with("54");
}

std::string ReadingMode::failed(const std::string& slot, Lsn position, const ErrorParts& error)
{
    failed_ = true;
    if (way_ == Way::streamed) {
        way_ = Way::whole;
        failures_ = 0;
        return "It is tried again with transactions sent whole, after their commit.";
    }
    failures_ = position > began_ ? 1 : failures_ + 1;
    if (failures_ < kTries) {
        return "It is tried again.";
    }
    failed_ = false;
    throw FatalError(
        {error.what,
         fmt::format(
             "{}; {} times at the first transaction that commits after {} (slot {}), so the server cannot decode it",
             error.why, failures_, position.to_string(), slot),
         "Nothing is skipped and the slot keeps the WAL. See the server's log; a newer minor version may decode it. Else "
         "drop the slot, make it anew (`keyshift node add` says how) and `keyshift cdc snapshot` every table of the node."});
}

} // namespace keyshift::cdc

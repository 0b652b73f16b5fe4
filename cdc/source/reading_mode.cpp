#include "cdc/source/reading_mode.hpp"

#include <fmt/core.h>

namespace keyshift::cdc {

namespace {

constexpr int kTries = 3;
constexpr int kParallelSince = 160000;

/// PostgreSQL has no SQLSTATE of its own for a message that does not fit in 1 GB.
bool is_too_large(const std::string& why)
{
    return why.find("invalid memory alloc request size") != std::string::npos ||
           why.find("string buffer") != std::string::npos || why.find("[54000]") != std::string::npos;
}

} // namespace

void ReadingMode::begin(Lsn position)
{
    if (way_ == Way::binary ? is_over(position) : !failed_) {
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
    options.binary = way_ == Way::binary;
    options.streaming = way_ != Way::streamed ? "off" : newest ? "parallel" : "on";
    return options;
}

bool ReadingMode::is_failure(std::string_view sqlstate)
{
    return sqlstate.starts_with("XX") || sqlstate.starts_with("54");
}

std::string ReadingMode::failed(const catalog::Node& node, Lsn position, const ErrorParts& error)
{
    failed_ = true;
    if (way_ == Way::streamed) {
        way_ = Way::whole;
        failures_ = 0;
        return "It is tried again with transactions sent whole, after their commit.";
    }
    failures_ = position > began_ ? 1 : failures_ + 1;
    const bool too_large = is_too_large(error.why);
    if (too_large && way_ == Way::whole) {
        way_ = Way::binary;
        failures_ = 0;
        stuck_ = position;
        passed_.reset();
        return "A row is too large to be written as text: its transaction is read in binary.";
    }
    if (failures_ < kTries && !too_large) {
        return "It is tried again.";
    }
    failed_ = false;
    const std::string where =
        fmt::format("the first transaction that commits after {} (slot {})", position.to_string(), node.slot);
    if (too_large) {
        give_up(node, where, error);
    }
    throw FatalError(
        {"capturing changes of node " + node.name,
         fmt::format("{}: the server cannot decode {}, tried {} times", error.why, where, failures_),
         fmt::format(
             "Nothing is skipped; the slot keeps the WAL. See the server's log; a newer minor version may decode it. "
             "Else `keyshift cdc recover {}`: a new slot behind it, and every table read again.",
             node.name)});
}

void ReadingMode::give_up(const catalog::Node& node, const std::string& where, const ErrorParts& error)
{
    throw FatalError(
        {"capturing changes of node " + node.name,
         fmt::format("{}: {} has a row that PostgreSQL cannot send: above 1 GB, in binary as in text", error.why,
                     where),
         fmt::format("Nothing is skipped; the slot keeps the WAL. Make the row smaller or leave the column "
                     "out of the capture, then `keyshift cdc recover {}`: a new slot behind it, and every "
                     "table read again.",
                     node.name)});
}

void ReadingMode::committed(Lsn end)
{
    if (way_ == Way::binary && !passed_ && end > stuck_) {
        passed_ = end;
    }
}

} // namespace keyshift::cdc

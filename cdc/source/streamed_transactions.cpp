#include "cdc/source/streamed_transactions.hpp"

#include "core/failpoint.hpp"

#include <algorithm>

namespace keyshift::cdc {

namespace {

/// Messages handed over between two pauses.
constexpr int kBurst = 2000;

void put_big_endian(std::string& out, std::uint64_t value, int bytes)
{
    for (int i = bytes - 1; i >= 0; --i) {
        out += static_cast<char>((value >> (8 * i)) & 0xFFU);
    }
}

std::uint64_t memory_of(const TransactionSpool& spool)
{
    return spool.memory_bytes() + spool.index_bytes();
}

} // namespace

void StreamedTransactions::handle(const pg::WalMessage& message)
{
    ByteReader reader(message.payload, message.start);
    const char kind = static_cast<char>(reader.u8());
    switch (kind) {
    case 'S':
        return start(reader);
    case 'E':
        if (current_ == nullptr) {
            reader.fail("the end of a piece of a transaction that did not begin");
        }
        current_ = nullptr;
        return;
    case 'c':
        return commit(reader, message);
    case 'A':
        return abort(reader);
    default:
        if (current_ != nullptr) {
            return keep(reader, message, kind);
        }
        receiver_.message(message);
    }
}

void StreamedTransactions::start(ByteReader& reader)
{
    const std::uint32_t xid = reader.u32();
    const bool first = reader.u8() != 0;
    const auto known = spools_.find(xid);
    if (current_ != nullptr || first != (known == spools_.end())) {
        reader.fail("a piece of a transaction out of order");
    }
    current_ = first ? &spools_.emplace(xid, TransactionSpool(directory_)).first->second : &known->second;
}

void StreamedTransactions::keep(ByteReader& reader, const pg::WalMessage& message, char kind)
{
    failpoint("cdc.spool");
    if (kind == 'O') {
        return; // an origin: nobody's news
    }
    const std::uint32_t xid = reader.u32();
    const std::string_view rest = reader.bytes(reader.size());
    const bool too_large = rest.size() > memory_limit_;
    make_room(rest.size());
    const std::uint64_t before = memory_of(*current_);
    if (too_large) {
        current_->append_to_file(xid, message.start, kind, rest);
    } else {
        current_->append(xid, message.start, kind, rest);
    }
    memory_ = memory_ - before + memory_of(*current_);
}

void StreamedTransactions::make_room(std::size_t bytes)
{
    while (memory_ + bytes > memory_limit_) {
        const auto largest =
            std::ranges::max_element(spools_, {}, [](const auto& entry) { return entry.second.memory_bytes(); });
        if (largest == spools_.end() || largest->second.memory_bytes() == 0) {
            return;
        }
        memory_ -= largest->second.memory_bytes();
        largest->second.spill();
    }
}

void StreamedTransactions::abort(ByteReader& reader)
{
    const std::uint32_t top = reader.u32();
    const std::uint32_t xid = reader.u32();
    if (reader.size() != 0) {
        reader.lsn(); // protocol 4: of the abort
        reader.u64(); // and its time
    }
    const auto spool = spools_.find(top);
    if (spool == spools_.end() || current_ != nullptr) {
        reader.fail("the abort of a transaction that did not begin");
    }
    memory_ -= memory_of(spool->second);
    if (top == xid) {
        spools_.erase(spool);
        return;
    }
    spool->second.roll_back(xid);
    memory_ += memory_of(spool->second);
}

void StreamedTransactions::commit(ByteReader& reader, const pg::WalMessage& message)
{
    const std::uint32_t xid = reader.u32();
    const std::string_view end = reader.bytes(reader.size());
    if (!spools_.contains(xid) || current_ != nullptr) {
        reader.fail("the commit of a transaction that did not begin, or has not ended its piece");
    }
    auto spool = spools_.extract(xid);
    memory_ -= memory_of(spool.mapped());
    if (spool.mapped().file_bytes() > 0) {
        // Its end would stay in memory as long as its beginning is read from the file.
        spool.mapped().spill();
    }
    hand_over(spool.mapped(), xid, end, message);
}

void StreamedTransactions::hand_over(const TransactionSpool& spool, std::uint32_t xid, std::string_view end,
                                     const pg::WalMessage& message)
{
    ByteReader reader(end, message.start);
    reader.u8(); // flags
    const Lsn commit_lsn = reader.lsn();
    const Lsn end_lsn = reader.lsn();
    const std::uint64_t time = reader.u64();
    if (spool.empty()) {
        // Unstreamed, PostgreSQL would not have sent it at all.
        receiver_.nothing_until(end_lsn);
        return;
    }
    std::string begin = "B";
    put_big_endian(begin, commit_lsn.value, 8);
    put_big_endian(begin, time, 8);
    put_big_endian(begin, xid, 4);
    receiver_.message({message.start, message.server_end, begin});
    int handed = 0;
    spool.replay([&](Lsn lsn, std::string_view payload) {
        receiver_.message({lsn, message.server_end, payload});
        if (++handed % kBurst == 0) {
            receiver_.pause();
        }
    });
    receiver_.message({message.start, message.server_end, "C" + std::string(end)});
}

std::uint64_t StreamedTransactions::memory_bytes() const
{
    return memory_;
}

std::uint64_t StreamedTransactions::file_bytes() const
{
    std::uint64_t bytes = 0;
    for (const auto& [xid, spool] : spools_) {
        bytes += spool.file_bytes();
    }
    return bytes;
}

} // namespace keyshift::cdc

#include "cdc/source/transaction_spool.hpp"

#include <algorithm>
#include <cstring>

namespace keyshift::cdc {

namespace {

/// In front of each message.
struct Head {
    std::uint64_t lsn = 0;
    std::uint32_t length = 0; ///< of the message
};
constexpr std::size_t kHead = sizeof(std::uint64_t) + sizeof(std::uint32_t);
constexpr std::size_t kBlock = 1U << 20U;
/// A hash node, its bucket, and the entry by offset.
constexpr std::size_t kIndexEntry = 64;

void put_message(std::string& out, Lsn lsn, char kind, std::string_view rest)
{
    const auto length = static_cast<std::uint32_t>(rest.size() + 1);
    out.append(reinterpret_cast<const char*>(&lsn.value), sizeof lsn.value);
    out.append(reinterpret_cast<const char*>(&length), sizeof length);
    out += kind;
    out.append(rest);
}

Head head_of(const char* bytes)
{
    Head head;
    std::memcpy(&head.lsn, bytes, sizeof head.lsn);
    std::memcpy(&head.length, bytes + sizeof head.lsn, sizeof head.length);
    return head;
}

} // namespace

void TransactionSpool::append(std::uint32_t xid, Lsn lsn, char kind, std::string_view rest)
{
    note(xid);
    const std::size_t size = kHead + 1 + rest.size();
    if (blocks_.empty() || blocks_.back().bytes.size() + size > kBlock) {
        blocks_.push_back({memory_end_, {}});
    }
    put_message(blocks_.back().bytes, lsn, kind, rest);
    memory_end_ += size;
}

void TransactionSpool::append_to_file(std::uint32_t xid, Lsn lsn, char kind, std::string_view rest)
{
    spill();
    note(xid);
    std::string head;
    put_message(head, lsn, kind, {});
    const auto length = static_cast<std::uint32_t>(rest.size() + 1);
    std::memcpy(head.data() + sizeof lsn.value, &length, sizeof length);
    file_.write(head, file_end_);
    file_.write(rest, file_end_ + head.size());
    file_end_ += head.size() + rest.size();
}

void TransactionSpool::note(std::uint32_t xid)
{
    if (xid == last_xid_) {
        return;
    }
    const std::uint64_t offset = file_end_ + memory_end_;
    if (offsets_.emplace(xid, offset).second) {
        firsts_.push_back({xid, offset});
    }
    last_xid_ = xid;
}

void TransactionSpool::roll_back(std::uint32_t xid)
{
    const auto first = offsets_.find(xid);
    if (first == offsets_.end()) {
        return; // it wrote nothing of interest
    }
    const std::uint64_t offset = first->second;
    while (!firsts_.empty() && firsts_.back().offset >= offset) {
        offsets_.erase(firsts_.back().xid);
        firsts_.pop_back();
    }
    last_xid_ = 0;
    cut(offset);
}

void TransactionSpool::cut(std::uint64_t offset)
{
    if (offset < file_end_) {
        blocks_.clear();
        memory_end_ = 0;
        file_.truncate(offset);
        file_end_ = offset;
        return;
    }
    memory_end_ = offset - file_end_;
    while (!blocks_.empty() && blocks_.back().begin >= memory_end_) {
        blocks_.pop_back();
    }
    if (!blocks_.empty()) {
        blocks_.back().bytes.resize(memory_end_ - blocks_.back().begin);
    }
}

void TransactionSpool::spill()
{
    // Nothing is forgotten before all of it is written: a full disk breaks the stream, which reads the transaction again.
    std::uint64_t end = file_end_;
    for (const Block& block : blocks_) {
        file_.write(block.bytes, end);
        end += block.bytes.size();
    }
    file_end_ = end;
    blocks_.clear();
    memory_end_ = 0;
}

void TransactionSpool::replay(const std::function<void(Lsn, std::string_view)>& each) const
{
    replay_file(each);
    for (const Block& block : blocks_) {
        std::string_view left = block.bytes;
        while (!left.empty()) {
            const Head head = head_of(left.data());
            each({head.lsn}, left.substr(kHead, head.length));
            left.remove_prefix(kHead + head.length);
        }
    }
}

void TransactionSpool::replay_file(const std::function<void(Lsn, std::string_view)>& each) const
{
    std::string buffer;
    std::size_t at = 0; // of the next message in `buffer`
    std::uint64_t read = 0;
    const auto have = [&](std::size_t bytes) {
        if (buffer.size() - at >= bytes) {
            return;
        }
        buffer.erase(0, at);
        at = 0;
        const std::uint64_t wanted = std::max(bytes, kBlock) - buffer.size();
        const auto more = static_cast<std::size_t>(std::min(wanted, file_end_ - read));
        const std::size_t old = buffer.size();
        buffer.resize(old + more);
        file_.read(buffer.data() + old, more, read);
        read += more;
        if (buffer.size() <= kBlock && buffer.capacity() > 2 * kBlock) {
            buffer.shrink_to_fit();
        }
    };
    while (read - (buffer.size() - at) < file_end_) {
        have(kHead);
        const Head head = head_of(buffer.data() + at);
        have(kHead + head.length);
        each({head.lsn}, std::string_view(buffer).substr(at + kHead, head.length));
        at += kHead + head.length;
    }
}

std::size_t TransactionSpool::index_bytes() const
{
    return firsts_.size() * kIndexEntry;
}

} // namespace keyshift::cdc

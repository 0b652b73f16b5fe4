#pragma once
/// The messages of one transaction that is still open at the server, in the order in which they came: in memory until
/// spill(), then in a file (INV-OPS-1). One thread.
///
/// A subtransaction that is rolled back is cut off at its first message: between that and its end PostgreSQL writes nothing
/// but what belongs to it and to subtransactions inside it.

#include "cdc/source/spool_file.hpp"
#include "core/lsn.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace keyshift::cdc {

class TransactionSpool {
public:
    explicit TransactionSpool(std::string directory) : file_(std::move(directory)) {}

    /// `kind` and `rest` together are the message; `xid`: the (sub)transaction that it belongs to.
    void append(std::uint32_t xid, Lsn lsn, char kind, std::string_view rest);
    /// As append, past memory: for a message larger than all memory there is. Only when memory_bytes() is small.
    void append_to_file(std::uint32_t xid, Lsn lsn, char kind, std::string_view rest);
    void roll_back(std::uint32_t xid);
    /// Moves what is in memory to the file.
    void spill();

    /// Calls `each` with every message, oldest first. The bytes are valid during the call.
    void replay(const std::function<void(Lsn, std::string_view)>& each) const;

    bool empty() const { return file_end_ + memory_end_ == 0; }
    /// Of messages; spill() frees them.
    std::uint64_t memory_bytes() const { return memory_end_; }
    std::uint64_t file_bytes() const { return file_end_; }
    /// What is kept for each subtransaction, and cannot be spilled.
    std::size_t index_bytes() const;

private:
    struct First {
        std::uint32_t xid = 0;
        std::uint64_t offset = 0; ///< in file and memory together
    };
    struct Block {
        std::uint64_t begin = 0; ///< in memory
        std::string bytes;
    };
    void note(std::uint32_t xid);
    void cut(std::uint64_t offset);
    void replay_file(const std::function<void(Lsn, std::string_view)>& each) const;

    SpoolFile file_;
    std::uint64_t file_end_ = 0;
    /// Whole messages; a large one has a block of its own.
    std::deque<Block> blocks_;
    std::uint64_t memory_end_ = 0;
    std::vector<First> firsts_; ///< by offset
    std::unordered_map<std::uint32_t, std::uint64_t> offsets_;
    std::uint32_t last_xid_ = 0;
};

} // namespace keyshift::cdc

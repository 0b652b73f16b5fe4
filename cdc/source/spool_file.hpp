#pragma once
/// A file for bytes that do not fit in memory. It has no name: it is gone when it is closed, also after a crash. It is made
/// with the first byte. One thread at a time.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace keyshift::cdc {

class SpoolFile {
public:
    explicit SpoolFile(std::string directory) : directory_(std::move(directory)) {}
    ~SpoolFile();
    SpoolFile(SpoolFile&& other) noexcept;
    SpoolFile& operator=(SpoolFile&&) = delete;

    // Throw TransientError naming the directory when they fail (disk full).
    void write(std::string_view bytes, std::uint64_t at);
    /// Exactly `bytes` bytes into `to`.
    void read(char* to, std::size_t bytes, std::uint64_t at) const;
    void truncate(std::uint64_t size);

private:
    void open();

    std::string directory_;
    int file_ = -1;
};

} // namespace keyshift::cdc

#pragma once
/// Wakes a thread that sits in poll(): an eventfd.

namespace keyshift::cdc {

class Wake {
public:
    Wake();
    ~Wake();
    Wake(const Wake&) = delete;
    Wake& operator=(const Wake&) = delete;

    int fd() const { return fd_; }
    /// From any thread.
    void signal() const noexcept;
    /// Takes the signals that came so far.
    void clear() const noexcept;

private:
    int fd_;
};

} // namespace keyshift::cdc

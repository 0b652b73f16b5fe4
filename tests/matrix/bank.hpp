#pragma once
/// Clients of a FaultyCluster: transfers between two users of one bucket, each of which raises both users' counters and writes a
/// post for each. What was acknowledged, and what may or may not have happened, is kept.

#include "tests/matrix/faulty_cluster.hpp"

#include <condition_variable>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace keyshift::test {

/// What a user's row holds.
struct Account {
    int turn = 0;
    int balance = 0;
    bool operator==(const Account&) const = default;
};

class Bank {
public:
    /// Transfers among the users of each of these buckets; `modulus`: of buckets that splits are going to make.
    Bank(const FaultyCluster& cluster, const std::vector<int>& buckets, int users, int modulus = kBuckets);
    ~Bank();
    Bank(const Bank&) = delete;
    Bank& operator=(const Bank&) = delete;

    /// No transfer is under way from here until resume().
    void pause();
    void resume();
    /// Acknowledged so far.
    int transfers() const;
    /// Every user's row, by whoever owns it. Throws when two nodes own one.
    std::map<int, Account> accounts() const;
    /// The first acknowledged transfer that is not there, or is there twice, or a sum that has changed; "": none. While paused.
    std::string lost() const;
    /// The test itself has raised the counter of the first user of the bucket.
    void raised(const FaultyCluster& cluster, int by, int bucket);
    /// Failures that no fault explains.
    std::vector<std::string> errors() const;

private:
    void run(const std::stop_token& stop);
    void transfer(const std::vector<int>& users, const std::stop_token& stop);
    enum class Answer { done, elsewhere, again, unknown };
    Answer try_once(int node, int from, int to);

    const FaultyCluster& cluster_;
    std::vector<std::vector<int>> users_; ///< of each bucket
    std::mt19937 random_{1};
    std::map<int, std::unique_ptr<pg::Connection>> connections_;
    int node_ = 1; ///< asked last
    mutable std::mutex mutex_;
    std::condition_variable_any changed_;
    bool paused_ = false; ///< guarded by mutex_, as all below
    bool idle_ = false;
    int transfers_ = 0;
    std::map<int, int> acknowledged_; ///< of each user
    std::map<int, int> unknown_;      ///< whose answers were lost
    std::vector<std::string> errors_;
    std::jthread thread_;
};

} // namespace keyshift::test

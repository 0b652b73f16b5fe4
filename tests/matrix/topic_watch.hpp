#pragma once
/// Reads the topic of users from its beginning, goes on from where it was at each look, and judges the order of events.

#include "core/change_event.hpp"
#include "core/kafka/client.hpp"
#include "tests/matrix/bank.hpp"

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace keyshift::test {

class TopicWatch {
public:
    explicit TopicWatch(const FaultyCluster& cluster);

    /// Reads until the last event of each user is that user's row; false: not within 30 s.
    bool reaches(const std::map<int, Account>& accounts);
    /// INV-CDC-2: the first event that came after a newer one of its key; "": none. An exact repeat may come again until an event
    /// of the next epoch is there.
    const std::string& disorder() const { return disorder_; }
    /// The first event that was not its user's next turn, repeats aside; "": none.
    const std::string& gap() const { return gap_; }
    /// Events that came again.
    int repeats() const { return repeats_; }
    /// The users whose last event is not their row.
    std::string difference(const std::map<int, Account>& accounts) const;

private:
    void take(const kafka::Message& message);

    std::string topic_;
    kafka::Consumer consumer_;
    std::map<int, Account> last_;
    std::map<int, SourcePosition> newest_;
    std::set<std::pair<int, std::string>> seen_;
    std::string disorder_;
    std::string gap_;
    int repeats_ = 0;
};

} // namespace keyshift::test

#pragma once
/// Every persisted step of a move, before and after it is persisted, and the commits between them, times everything that may be
/// struck there. Made from the table of legal steps.

#include "resharder/move_state.hpp"
#include "tests/matrix/bank.hpp"
#include "tests/matrix/faulty_cluster.hpp"
#include "tests/matrix/topic_watch.hpp"

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace keyshift::test {

enum class Fault {
    daemon_killed,
    donor_restarted,
    recipient_restarted,
    catalog_restarted,
    donor_cut,
    recipient_cut,
    catalog_cut,
    reply_lost, ///< of the commit right behind the failpoint, which itself lands
};
inline constexpr std::array kFaults{Fault::daemon_killed,     Fault::donor_restarted, Fault::recipient_restarted,
                                    Fault::catalog_restarted, Fault::donor_cut,       Fault::recipient_cut,
                                    Fault::catalog_cut,       Fault::reply_lost};
std::string_view name(Fault fault);

struct Cell {
    resharder::LegalStep step; ///< in which it strikes
    std::string failpoint;     ///< where
    Fault fault;

    std::string row() const;
    std::string title() const { return row() + " x " + std::string(name(fault)); }
};

std::vector<Cell> all_cells();

/// Moves one bucket there and back, a cell each time, under writes.
class CrashMatrix {
public:
    CrashMatrix();
    /// What is wrong; "": the move ended as it should and left what it should.
    std::string run(const Cell& cell);

private:
    struct Ends {
        int donor;
        int recipient;
    };
    void prepare(const Cell& cell, const std::string& job);
    /// Runs a daemon that dies when the move has come to this state.
    void bring_to(resharder::MoveState state);
    std::string strike(const Cell& cell, const Ends& ends);
    std::string restart(int server, const std::string& gate);
    std::string cut(int server, const std::string& gate);
    std::string lose_reply(const Cell& cell, const Ends& ends, const std::string& gate);
    std::string verify(const Cell& cell, const std::string& job, const Ends& ends, const std::string& before);
    std::string fingerprint() const;

    static constexpr int kUsers = 64;
    int bucket_ = 1;
    int gates_ = 0;
    FaultyCluster cluster_{kUsers};
    Bank bank_{cluster_, {1, 2}, kUsers};
    TopicWatch watch_{cluster_};
};

} // namespace keyshift::test

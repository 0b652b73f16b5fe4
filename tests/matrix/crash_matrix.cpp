#include "tests/matrix/crash_matrix.hpp"

#include "tests/matrix/verdict.hpp"
#include "tests/resharder/placement_queries.hpp"

#include "core/backoff.hpp"

#include <fmt/core.h>

#include <chrono>
#include <csignal>
#include <stdexcept>

namespace keyshift::test {

namespace {

using namespace std::chrono_literals;
using resharder::LegalStep;
using resharder::MoveState;

/// Commits that lie between two persisted steps.
const std::pair<LegalStep, const char*> kCommits[] = {
    {{MoveState::catching_up, MoveState::attached}, "move.apply.committing"},
    {{MoveState::catching_up, MoveState::attached}, "move.attach.swapped"},
    {{MoveState::attached, MoveState::fenced}, "move.fence.committing"},
    {{MoveState::attached, MoveState::fenced}, "move.fence.committed"},
    {{MoveState::fenced, MoveState::switched}, "move.open.committing"},
    {{MoveState::fenced, MoveState::switched}, "move.open.committed"},
    {{MoveState::settling, MoveState::done}, "move.settle.deleted"},
    {{MoveState::aborting, MoveState::aborted}, "move.take_back.restored"},
};

/// Steps that no table's bucket takes on its way to a node that it has not been on: a projection's goes from there to a new
/// copy, one that goes back takes over the copy that was kept (KilledProjectionMove, KilledRollbackAt).
bool of_other_moves(const LegalStep& step)
{
    return (step.from == MoveState::indexing && step.to == MoveState::copying) ||
           (step.from == MoveState::planned && step.to == MoveState::attached);
}

/// Its reply can be lost.
bool before_commit(const std::string& failpoint)
{
    return failpoint.ends_with(".committing");
}

bool is_way_back(const LegalStep& step)
{
    return step.to == MoveState::aborting || step.to == MoveState::aborted;
}

} // namespace

std::string_view name(Fault fault)
{
    constexpr std::array<std::string_view, 8> kNames{"SIGKILL",   "donor down",    "recipient down", "catalog down",
                                                     "donor cut", "recipient cut", "catalog cut",    "reply lost"};
    return kNames.at(static_cast<std::size_t>(fault));
}

std::string Cell::row() const
{
    return fmt::format("{} -> {}: {}", resharder::name(step.from), resharder::name(step.to), failpoint.substr(5));
}

std::vector<Cell> all_cells()
{
    std::vector<std::pair<LegalStep, std::string>> points;
    for (const LegalStep& step : resharder::kLegalSteps) {
        if (!of_other_moves(step)) {
            points.emplace_back(step, fmt::format("move.{}.persisting", resharder::name(step.to)));
            points.emplace_back(step, fmt::format("move.{}.committing", resharder::name(step.to)));
            points.emplace_back(step, fmt::format("move.{}.persisted", resharder::name(step.to)));
        }
    }
    points.insert(points.end(), std::begin(kCommits), std::end(kCommits));
    std::vector<Cell> cells;
    for (const auto& [step, failpoint] : points) {
        for (const Fault fault : kFaults) {
            if (fault != Fault::reply_lost || before_commit(failpoint)) {
                cells.push_back({step, failpoint, fault});
            }
        }
    }
    return cells;
}

CrashMatrix::CrashMatrix() = default;

std::string CrashMatrix::run(const Cell& cell)
{
    const int donor = cluster_.owner(bucket_);
    const Ends ends{donor, 3 - donor};
    cluster_.kill_daemon();
    const std::string before = fingerprint();
    const std::string job = cluster_.start_move(bucket_, ends.recipient);
    prepare(cell, job);
    if (const std::string wrong = strike(cell, ends); !wrong.empty()) {
        return wrong + "\n" + cluster_.daemon().output();
    }
    if (const std::string wrong = verify(cell, job, ends, before); !wrong.empty()) {
        return wrong + "\n" + cluster_.daemon().output();
    }
    return "";
}

void CrashMatrix::prepare(const Cell& cell, const std::string& job)
{
    const bool again = cell.step.to == MoveState::copying && cell.step.from != MoveState::planned;
    if (is_way_back(cell.step)) {
        bring_to(cell.step.to == MoveState::aborted ? MoveState::attached : cell.step.from);
        cluster_.must({"reshard", "cancel", job, "--yes"});
    } else if (again) {
        bring_to(cell.step.from);
        // As if the slot had moved past what the recipient has.
        cluster_.connect(3 - cluster_.owner(bucket_)).query("UPDATE keyshift.move_progress SET applied_lsn = '0/1'");
    }
}

void CrashMatrix::bring_to(MoveState state)
{
    if (state == MoveState::planned) {
        return;
    }
    cluster_.start_daemon(fmt::format("move.{}.persisted=kill@1", resharder::name(state)));
    if (cluster_.daemon().wait(60s) != 128 + SIGKILL) {
        throw std::runtime_error(
            fmt::format("the move did not come to {}:\n{}", resharder::name(state), cluster_.daemon().output()));
    }
}

std::string CrashMatrix::strike(const Cell& cell, const Ends& ends)
{
    const std::string fired = "failpoint " + cell.failpoint + " fired";
    if (cell.fault == Fault::daemon_killed) {
        cluster_.start_daemon(cell.failpoint + "=kill@1");
        if (cluster_.daemon().wait(60s) != 128 + SIGKILL ||
            cluster_.daemon().output().find(fired) == std::string::npos) {
            return "the daemon was not killed there";
        }
        cluster_.start_daemon();
        return "";
    }
    const std::string gate = fmt::format("{}/gate{}", cluster_.directory().path(), ++gates_);
    cluster_.start_daemon(fmt::format("{}=wait:{}@1", cell.failpoint, gate));
    if (!cluster_.daemon().wait_for_output(fired, 60s)) {
        return "the move did not come there";
    }
    switch (cell.fault) {
    case Fault::donor_restarted:
        return restart(ends.donor, gate);
    case Fault::recipient_restarted:
        return restart(ends.recipient, gate);
    case Fault::catalog_restarted:
        return restart(kCatalog, gate);
    case Fault::donor_cut:
        return cut(ends.donor, gate);
    case Fault::recipient_cut:
        return cut(ends.recipient, gate);
    case Fault::catalog_cut:
        return cut(kCatalog, gate);
    default:
        return lose_reply(cell, ends, gate);
    }
}

namespace {

void open_gate(const TemporaryDirectory& directory, const std::string& gate)
{
    directory.write(gate.substr(gate.rfind('/') + 1), "");
}

} // namespace

std::string CrashMatrix::restart(int server, const std::string& gate)
{
    const char* const kStarted = "SELECT pg_postmaster_start_time()";
    const std::string before = cluster_.value(server, kStarted);
    cluster_.server(server).stop("immediate");
    open_gate(cluster_.directory(), gate);
    cluster_.server(server).start();
    return cluster_.value(server, kStarted) == before ? "the server was not restarted" : "";
}

std::string CrashMatrix::cut(int server, const std::string& gate)
{
    TcpProxy& proxy = cluster_.proxy(server);
    const int before = proxy.refused();
    proxy.cut();
    open_gate(cluster_.directory(), gate);
    // Those of before, and at least one more try.
    for (int tries = 0; proxy.refused() < before + 2 && tries < 500; ++tries) {
        sleep_for(20ms, {});
    }
    const int after = proxy.refused();
    sleep_for(200ms, {});
    proxy.mend();
    return after < before + 2 ? "nobody noticed the cut" : "";
}

std::string CrashMatrix::lose_reply(const Cell& cell, const Ends& ends, const std::string& gate)
{
    int server = kCatalog;
    std::string landed =
        fmt::format("SELECT state = '{}' FROM keyshift.move ORDER BY id DESC LIMIT 1", resharder::name(cell.step.to));
    const auto bucket_is = [this](std::string_view state) {
        return fmt::format("SELECT state = '{}' FROM keyshift.local_bucket WHERE bucket = {}", state, bucket_);
    };
    if (cell.failpoint == "move.fence.committing") {
        server = ends.donor;
        landed = bucket_is("fenced");
    } else if (cell.failpoint == "move.open.committing") {
        server = ends.recipient;
        landed = bucket_is("open");
    } else if (cell.failpoint == "move.apply.committing") {
        server = ends.recipient;
        landed = fmt::format("SELECT applied_lsn > '{}' FROM keyshift.move_progress",
                             cluster_.value(server, "SELECT applied_lsn FROM keyshift.move_progress"));
    }
    TcpProxy& proxy = cluster_.proxy(server);
    const int before = proxy.lost();
    proxy.lose_answers();
    open_gate(cluster_.directory(), gate);
    const bool there = cluster_.comes_true(server, landed, 20);
    for (int tries = 0; there && proxy.lost() == before && tries < 500; ++tries) {
        sleep_for(20ms, {});
    }
    const bool lost = proxy.lost() > before;
    proxy.cut();
    sleep_for(100ms, {});
    proxy.mend();
    return !there ? "the commit did not land" : lost ? "" : "no reply was lost";
}

std::string CrashMatrix::verify(const Cell& cell, const std::string& job, const Ends& ends, const std::string& before)
{
    const bool back = is_way_back(cell.step);
    const bool ended = cluster_.comes_true(
        kCatalog,
        fmt::format("SELECT j.state IN ('done', 'failed', 'cancelled') AND NOT EXISTS (SELECT FROM keyshift.move m "
                    "WHERE m.job = j.id AND m.state NOT IN ('done', 'aborted')) FROM keyshift.job j WHERE j.id = {}",
                    job));
    const std::string end = cluster_.value(
        kCatalog, fmt::format("SELECT format('job %s, move %s, waiting for %s', j.state, m.state, m.waiting_for) "
                              "FROM keyshift.job j JOIN keyshift.move m ON m.job = j.id WHERE j.id = {}",
                              job));
    if (!ended || !end.starts_with(back ? "job cancelled, move aborted" : "job done, move done")) {
        return end;
    }
    bank_.pause();
    std::string wrong = judge_nodes(cluster_, bucket_, back ? ends.donor : ends.recipient);
    if (wrong.empty()) {
        wrong = judge_rows(bank_, watch_);
    }
    if (wrong.empty() && back && fingerprint() != before) {
        wrong = "the placement is not as it was:\n" + before + "\nand now\n" + fingerprint();
    }
    bank_.resume();
    return wrong;
}

std::string CrashMatrix::fingerprint() const
{
    return cluster_.value(1, kFingerprint) + cluster_.value(2, kFingerprint);
}

} // namespace keyshift::test

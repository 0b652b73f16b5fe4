#pragma once
/// The demo's seven steps, one function each, in order. They share the state in this class; run() throws when a step
/// fails and returns false when a check at the end does.

#include "demo/acknowledged.hpp"
#include "demo/checks.hpp"
#include "demo/program.hpp"
#include "demo/settings.hpp"
#include "demo/writer.hpp"

#include <memory>
#include <optional>

namespace keyshift::demo {

class Scenario {
public:
    explicit Scenario(const Settings& settings);
    bool run();

private:
    void find_the_faults();
    void capture_everything();
    void start_writing();
    void build_projection();
    void add_nodes();
    void reshard_with_a_kill();
    bool check_everything();

    void wait_for_snapshots();
    void wait_for_capture();
    void wait_for_settling();
    /// Until the job is done; `kill_after` moves the daemon is killed and started again.
    void watch_job(std::int64_t job, std::optional<int> kill_after);
    void show_figures(const std::vector<WriterLog>& logs);

    const Settings& settings_;
    Program program_;
    Daemon daemon_;
    DatabaseState before_;
    std::unique_ptr<Writers> writers_;
    double snapshot_rows_per_second_ = 0;
};

} // namespace keyshift::demo

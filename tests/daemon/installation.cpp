#include "tests/daemon/installation.hpp"

#include "core/backoff.hpp"

#include <fmt/core.h>

#include <chrono>
#include <csignal>
#include <stdexcept>

namespace keyshift::test {

namespace {

using namespace std::chrono_literals;

std::string joined(const std::vector<std::string>& words)
{
    std::string line = "keyshift";
    for (const std::string& word : words) {
        line += " " + word;
    }
    return line;
}

} // namespace

bool comes_true(const std::function<bool()>& condition, int seconds)
{
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end) {
            return false;
        }
        sleep_for(50ms, {});
    }
    return true;
}

Installation::Installation(int more, DatabaseOwner owner) : prefix_(unique_name("e2e")), port_(free_port())
{
    for (int number = 1; number <= more + 1; ++number) {
        databases_.push_back(std::make_unique<TestDatabase>(number, "installation", owner));
    }
    config_file_ = directory_.write("keyshift.toml", config_text());
}

Installation::~Installation()
{
    // The daemon first: its slots are dropped with the databases.
    daemon_.reset();
}

std::string Installation::config_text(const std::string& more) const
{
    return fmt::format(
        "[catalog]\ndsn = \"{}\"\n\n[kafka]\n\"bootstrap.servers\" = \"{}\"\n\n[cdc]\ntopic_prefix = \"{}\"\npartitions = 2\n"
        "heartbeat_interval = \"100ms\"\n\n[http]\nlisten = \"127.0.0.1:{}\"\n\n[log]\nformat = \"text\"\n{}",
        database().conninfo(), broker_.at("bootstrap.servers"), prefix_, port_, more);
}

void Installation::use_broker(const kafka::Settings& broker)
{
    broker_ = broker;
    config_file_ = directory_.write("keyshift.toml", config_text());
}

Finished Installation::keyshift(std::vector<std::string> arguments, const Environment& environment) const
{
    arguments.insert(arguments.begin(), {keyshift_binary(), "--config", config_file_});
    return run_program(arguments, environment, std::chrono::seconds(120));
}

nlohmann::json Installation::json(std::vector<std::string> arguments) const
{
    arguments.insert(arguments.end(), {"-o", "json"});
    const Finished done = keyshift(arguments);
    if (done.status != 0) {
        throw std::runtime_error(fmt::format("{} exits with {}: {}", joined(arguments), done.status, done.err));
    }
    return nlohmann::json::parse(done.out);
}

void Installation::must(const std::vector<std::string>& arguments) const
{
    const Finished done = keyshift(arguments);
    if (done.status != 0) {
        throw std::runtime_error(fmt::format("{} exits with {}: {}", joined(arguments), done.status, done.err));
    }
}

void Installation::set_up() const
{
    must({"init"});
    add_node(1);
}

void Installation::add_node(int number) const
{
    must({"node", "add", fmt::format("n{}", number), "--dsn", database(number).conninfo()});
}

void Installation::start_daemon(const Environment& environment)
{
    daemon_ = std::make_unique<BackgroundProgram>(
        std::vector<std::string>{keyshift_binary(), "--config", config_file_, "run"}, environment);
    if (!comes_true([&] { return get("/readyz").body == "ok\n" || !daemon_->running(); }) || !daemon_->running()) {
        throw std::runtime_error("the daemon did not become ready:\n" + daemon_->output());
    }
}

int Installation::stop_daemon()
{
    daemon_->signal(SIGTERM);
    return daemon_->wait(15s);
}

void Installation::kill_daemon()
{
    daemon_->kill();
}

} // namespace keyshift::test

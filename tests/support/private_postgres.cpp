#include "tests/support/private_postgres.hpp"

#include <fmt/core.h>

#include <stdexcept>
#include <unistd.h>

namespace keyshift::test {

PrivatePostgres::PrivatePostgres(const std::vector<std::string>& settings) : port_(free_port())
{
    const std::string functions = std::string(KEYSHIFT_SOURCE_DIR) + "/tests/support/servers.bash";
    std::vector<std::string> command{
        "/bin/bash",          "-c", ". \"$1\"; shift; pg_start \"$@\"", "bash", functions, directory_.path() + "/pg",
        std::to_string(port_)};
    command.insert(command.end(), settings.begin(), settings.end());
    if (const Finished started = run_program(command); started.status != 0) {
        throw std::runtime_error("a private PostgreSQL did not start: " + started.out + started.err);
    }
}

PrivatePostgres::~PrivatePostgres()
{
    stop("immediate");
}

Finished PrivatePostgres::control(const std::vector<std::string>& arguments) const
{
    std::vector<std::string> command;
    if (::getuid() == 0) {
        command = {"/usr/sbin/runuser", "-u", "postgres", "--"};
    }
    command.insert(command.end(), {servers_.postgres_binaries() + "/pg_ctl", "-D", directory_.path() + "/pg/data"});
    command.insert(command.end(), arguments.begin(), arguments.end());
    return run_program(command, {}, std::chrono::seconds(90));
}

int PrivatePostgres::stop(const std::string& mode, int seconds)
{
    return control({"-m", mode, "-w", "-t", std::to_string(seconds), "stop"}).status;
}

void PrivatePostgres::start()
{
    if (const Finished started = control({"-l", directory_.path() + "/pg/server.log", "-w", "start"});
        started.status != 0) {
        throw std::runtime_error("a private PostgreSQL did not start again: " + started.out + started.err);
    }
}

std::string PrivatePostgres::conninfo(const std::string& database) const
{
    return fmt::format("host=127.0.0.1 port={} user=postgres dbname={}", port_, database);
}

} // namespace keyshift::test

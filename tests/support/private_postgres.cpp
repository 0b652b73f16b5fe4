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

PrivatePostgres::PrivatePostgres(PrivatePostgres& primary, const std::vector<std::string>& settings)
    : port_(free_port())
{
    primary.stop("fast");
    std::string lines =
        fmt::format("port = {}\nprimary_conninfo = 'host=127.0.0.1 port={} user=postgres dbname=postgres'\n", port_,
                    primary.port());
    for (const std::string& setting : settings) {
        lines += setting + "\n";
    }
    const std::string script = fmt::format(
        "set -e; mkdir {0}; cp -a {1} {0}/data; rm -rf {0}/data/pg_replslot/*; touch {0}/data/standby.signal; "
        "cat {2} >>{0}/data/postgresql.conf; chown -R --reference={1} {0}",
        directory_.path() + "/pg", primary.data(), directory_.write("standby.conf", lines));
    if (const Finished copied = run_program({"/bin/bash", "-c", script}); copied.status != 0) {
        throw std::runtime_error("a standby was not made: " + copied.out + copied.err);
    }
    primary.start();
    start();
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
    command.insert(command.end(), {servers_.postgres_binaries() + "/pg_ctl", "-D", data()});
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

void PrivatePostgres::promote()
{
    if (const Finished promoted = control({"-w", "promote"}); promoted.status != 0) {
        throw std::runtime_error("a standby was not promoted: " + promoted.out + promoted.err);
    }
}

void PrivatePostgres::forget_system_settings() const
{
    run_program({"/bin/truncate", "-s", "0", data() + "/postgresql.auto.conf"});
}

std::string PrivatePostgres::conninfo(const std::string& database) const
{
    return fmt::format("host=127.0.0.1 port={} user=postgres dbname={}", port_, database);
}

} // namespace keyshift::test

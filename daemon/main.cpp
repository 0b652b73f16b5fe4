#include "daemon/command_line.hpp"

int main(int count, char** arguments)
{
    return keyshift::daemon::run_command_line(count, arguments);
}

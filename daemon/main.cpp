#include "daemon/command_line.hpp"

// Read by jemalloc before main. Records go through few threads, so more arenas only hold on to more memory; what is free is
// given back soon after a burst.
extern "C" {
extern const char* const malloc_conf;
const char* const malloc_conf = "narenas:2,dirty_decay_ms:1000";
}

int main(int count, char** arguments)
{
    return keyshift::daemon::run_command_line(count, arguments);
}

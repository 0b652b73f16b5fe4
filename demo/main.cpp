#include "core/error.hpp"
#include "demo/scenario.hpp"
#include "demo/screen.hpp"

#include <fmt/core.h>

#include <exception>

/// The demo: `keyshift-demo DIRECTORY`, with the servers' addresses in the environment. `./dev demo` runs it.
int main(int count, char** arguments)
{
    using namespace keyshift;
    try {
        const demo::Settings settings = demo::settings_from_environment(count > 1 ? arguments[1] : "/tmp");
        demo::Scenario scenario(settings);
        const bool passed = scenario.run();
        demo::say(passed ? "\nEverything above was measured in this run, and every check passed."
                         : "\nA check failed.");
        return passed ? 0 : 1;
    } catch (const Error& error) {
        fmt::print(stderr, "error: {}\n  why:  {}\n  next: {}\n", error.parts().what, error.parts().why,
                   error.parts().next);
        return exit_status(error.kind());
    } catch (const std::exception& error) {
        fmt::print(stderr, "error: the demo itself is broken: {}\n", error.what());
        return 1;
    }
}

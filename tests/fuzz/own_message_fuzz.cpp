/// Any role may emit a logical message under our prefix: it is read or ignored, and never more than that.

#include "cdc/source/placement_message.hpp"
#include "tests/fuzz/input.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace keyshift;
    fuzz::Input input(data, size);
    const std::string text(input.rest());
    const auto message = cdc::parse_own_message(text);
    fuzz::promise(!message || !text.empty(), "nothing is no message", text);
    return 0;
}

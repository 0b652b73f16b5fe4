/// The control topic is open to anybody: what reads as a record of ours is written and read back as the same.

#include "core/change_event.hpp"
#include "tests/fuzz/input.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace keyshift;
    fuzz::Input input(data, size);
    const std::string text(input.rest());
    if (const auto record = parse_control_record(text)) {
        const std::string written = to_json(*record);
        const auto again = parse_control_record(written);
        fuzz::promise(again.has_value(), "a written control record is read", written);
        fuzz::promise(again->index() == record->index() && to_json(*again) == written,
                      "a control record reads back as it was", written);
    }
    return 0;
}

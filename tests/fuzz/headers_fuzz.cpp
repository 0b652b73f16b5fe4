/// Record headers are open to anybody: what reads is written and read back as the same, and names of columns survive.

#include "core/change_event.hpp"
#include "tests/fuzz/input.hpp"

namespace {

using namespace keyshift;

void check_names(fuzz::Input input)
{
    AbsentColumns columns;
    while (!input.empty()) {
        const bool before = input.flag();
        std::string name(input.text());
        if (!name.empty()) {
            (before ? columns.before : columns.after).push_back(std::move(name));
        }
    }
    const std::string header = columns.to_string();
    for (const char letter : header) {
        fuzz::promise(letter > ' ' && letter < '\x7F', "a header is ASCII", header);
    }
    const auto again = AbsentColumns::parse(header);
    fuzz::promise(again && again->before == columns.before && again->after == columns.after,
                  "names of columns survive a header", header);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    fuzz::Input input(data, size);
    check_names(input);
    const std::string text(input.rest());
    if (const auto position = SourcePosition::parse(text)) {
        fuzz::promise(SourcePosition::parse(position->to_string()) == position, "a position reads back", text);
    }
    if (const auto origin = Origin::parse(text)) {
        const auto again = Origin::parse(origin->to_string());
        fuzz::promise(again && again->node == origin->node && again->bucket == origin->bucket, "an origin reads back",
                      text);
    }
    if (const auto columns = AbsentColumns::parse(text)) {
        const auto again = AbsentColumns::parse(columns->to_string());
        fuzz::promise(again && again->before == columns->before && again->after == columns->after,
                      "absent columns read back", text);
    }
    return 0;
}

/// A topic is open to anybody: a record becomes row changes of the definition's form, or a rejection with its reason.

#include "projections/event_mapper.hpp"
#include "tests/fuzz/input.hpp"

namespace {

using namespace keyshift;

projections::Definition definition()
{
    projections::Definition made;
    made.name = "p";
    made.base = {"public", "t"};
    for (const char* const type :
         {"int8", "text", "numeric", "float8", "bool", "bytea", "date", "time", "timestamp", "timestamptz", "uuid"}) {
        made.base_columns.push_back({type, type, type, -1, false});
    }
    made.base_columns.push_back({"list", "int4[]", "int4", -1, true});
    made.key = {"text"};
    made.key_base = {"text"};
    made.pk = {"int8"};
    return made;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static const projections::Definition kDefinition = definition();
    fuzz::Input input(data, size);
    kafka::Message message;
    message.topic = "app.public.t";
    message.headers = {{"keyshift.position", "1/2/3"}, {"keyshift.origin", "n1/4"}};
    const std::uint8_t headers = input.byte();
    if ((headers & 1U) != 0) {
        message.headers.emplace_back("keyshift.absent", input.text());
    }
    if ((headers & 2U) != 0) {
        message.headers.front().second = input.text();
    }
    message.value = std::string(input.rest());
    const projections::Mapped mapped = projections::EventMapper(kDefinition).map(message);
    if (const auto* rejection = std::get_if<projections::Rejection>(&mapped)) {
        fuzz::promise(!rejection->reason.empty() && !rejection->detail.empty(), "a rejection has its reason", "");
        return 0;
    }
    for (const projections::RowChange& change : std::get<std::vector<projections::RowChange>>(mapped)) {
        fuzz::promise(change.base.size() == kDefinition.base_columns.size(), "a row has the definition's columns", "");
        for (const std::size_t absent : change.absent) {
            fuzz::promise(absent < change.base.size(), "an absent column is one of the definition's", "");
        }
    }
    return 0;
}

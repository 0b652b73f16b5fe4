/// A server may send anything, in every version of the protocol: the decoder refuses it with the LSN, or what it gives back lies inside the message and
/// agrees with the relation.

#include "cdc/source/pgoutput_decoder.hpp"
#include "cdc/source/streamed_transactions.hpp"
#include "tests/fuzz/input.hpp"

namespace {

using namespace keyshift;

std::size_t touched(std::string_view text)
{
    std::size_t sum = 0;
    for (const char letter : text) {
        sum += static_cast<unsigned char>(letter);
    }
    return sum;
}

void check_tuple(const std::optional<cdc::Tuple>& tuple, const cdc::Relation& relation)
{
    if (!tuple) {
        return;
    }
    fuzz::promise(tuple->size() == relation.columns.size(), "a row has the columns of its relation",
                  relation.name.name);
    for (const cdc::Datum& datum : *tuple) {
        touched(datum.text);
    }
}

struct Check {
    void operator()(const cdc::Change* change) const
    {
        fuzz::promise(change->relation != nullptr, "a change has a relation", "");
        fuzz::promise(change->kind == cdc::ChangeKind::remove || change->after, "only a delete has no new row", "");
        fuzz::promise(change->kind != cdc::ChangeKind::remove || change->before, "a delete has an old row", "");
        check_tuple(change->before, *change->relation);
        check_tuple(change->after, *change->relation);
    }
    void operator()(const cdc::Truncation& truncation) const
    {
        for (const auto& relation : truncation.relations) {
            fuzz::promise(relation != nullptr, "a truncation has its relations", "");
        }
    }
    void operator()(const cdc::LogicalMessage& message) const { touched(message.prefix), touched(message.content); }
    void operator()(const auto&) const {}
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    fuzz::Input input(data, size);
    cdc::PgoutputDecoder decoder;
    const auto decode = [&decoder](const pg::WalMessage& message) {
        std::visit(Check{}, decoder.decode(message.start, message.payload));
    };
    // Protocols 2 to 4 send open transactions in pieces.
    cdc::StreamedTransactions streamed(1U << 20U, "/tmp",
                                       {decode, [](Lsn) {},
                                        [] {
                                        }});
    while (!input.empty()) {
        // A copy of its own, so that a read beyond the message is seen.
        const std::string message(input.long_text());
        const Lsn lsn{input.number()};
        try {
            streamed.handle({lsn, lsn, message});
        } catch (const FatalError& error) {
            fuzz::promise(!error.parts().why.empty() && !error.parts().next.empty(), "an error has three parts",
                          error.what());
        }
    }
    return 0;
}

/// Relations that change while rows flow, as pgoutput bytes through decoder, spool and encoder: every record is JSON with
/// the columns that its relation had at that position, and its headers read.

#include "cdc/publish/event_encoder.hpp"
#include "cdc/source/change_codec.hpp"
#include "cdc/source/pgoutput_decoder.hpp"
#include "tests/cdc/source/message_bytes.hpp"
#include "tests/fuzz/column_types.hpp"
#include "tests/fuzz/json_check.hpp"

#include <map>

namespace {

using namespace keyshift;

constexpr std::size_t kMostColumns = 6;

/// The relations as the fuzzed WAL has them, and everything they pass through.
class Stream {
public:
    explicit Stream(fuzz::Input& input) : input_(input) {}

    void run()
    {
        feed(test::MessageBytes('B').u64(1).u64(2).u32(3));
        while (!input_.empty()) {
            const std::uint8_t step = input_.byte();
            if (step % 4 == 0 || relations_.empty()) {
                announce();
            } else {
                change(step);
            }
        }
        feed(test::MessageBytes('C').u8(0).u64(1).u64(2).u64(3));
    }

private:
    void announce()
    {
        const auto oid = static_cast<std::uint32_t>(input_.below(3));
        auto table = std::make_shared<TableSchema>();
        table->root = {fuzz::as_postgres_text(input_.text()), fuzz::as_postgres_text(input_.text())};
        table->identity = "dfni"[input_.below(4)];
        table->version = ++versions_;
        test::MessageBytes message('R');
        const std::size_t columns = input_.below(kMostColumns + 1);
        message.u32(oid).text(table->root.schema).text(table->root.name).u8(static_cast<std::uint8_t>(table->identity));
        message.u16(static_cast<std::uint16_t>(columns));
        for (std::size_t index = 0; index < columns; ++index) {
            const std::uint8_t flags = input_.byte();
            ColumnSchema column = test::column(fuzz::as_postgres_text(input_.text()) + std::to_string(index),
                                               fuzz::any_type(input_), (flags & 1U) != 0);
            if ((flags & 2U) != 0) {
                table->key.push_back(index);
            }
            if ((flags & 4U) != 0) {
                column.has_default = true;
                column.default_literal = fuzz::as_postgres_text(input_.text());
            }
            message.u8(flags & 1U).text(column.name).u32(index == 0 ? 23 : 25).u32(0xFFFFFFFFU);
            table->columns.push_back(std::move(column));
        }
        feed(message);
        relations_[oid] = std::move(table);
    }

    void put_row(test::MessageBytes& message, char marker, const TableSchema& table)
    {
        message.u8(static_cast<std::uint8_t>(marker)).u16(static_cast<std::uint16_t>(table.columns.size()));
        for (std::size_t index = 0; index < table.columns.size(); ++index) {
            const std::size_t kind = input_.below(4);
            if (kind == 0) {
                message.u8('n');
            } else if (kind == 1) {
                message.u8('u');
            } else {
                message.value(fuzz::as_postgres_text(input_.text()));
            }
        }
    }

    void change(std::uint8_t step)
    {
        auto known = relations_.begin();
        std::advance(known, static_cast<std::ptrdiff_t>(input_.below(relations_.size())));
        const TableSchema& table = *known->second;
        const char kind = "IUDT"[step / 4 % 4];
        const char old = "NKO"[step / 16 % 3];
        test::MessageBytes message(kind);
        if (kind == 'T') {
            feed(message.u32(1).u8(0).u32(known->first));
            return;
        }
        message.u32(known->first);
        if (kind == 'D' || (kind == 'U' && old != 'N')) {
            put_row(message, old == 'N' ? 'K' : old, table);
        }
        if (kind != 'D') {
            put_row(message, 'N', table);
        }
        feed(message);
    }

    void feed(const std::string& message)
    {
        const cdc::Decoded decoded = decoder_.decode(Lsn{7}, message);
        if (const auto* change = std::get_if<const cdc::Change*>(&decoded)) {
            through_the_spool(**change);
            encode(**change);
        }
    }

    void through_the_spool(const cdc::Change& change)
    {
        const std::string bytes(codec_.encode(change));
        const auto again = std::get<cdc::OwnedChange>(codec_.decode(bytes));
        fuzz::promise(again.relation == change.relation && again.kind == change.kind, "a spooled change is the same",
                      change.relation->name.name);
        const auto same = [](const std::optional<cdc::Tuple>& left, const auto& right) {
            if (left.has_value() != right.has_value()) {
                return false;
            }
            for (std::size_t index = 0; left && index < left->size(); ++index) {
                if ((*left)[index].kind != (*right)[index].kind || (*left)[index].text != (*right)[index].text) {
                    return false;
                }
            }
            return true;
        };
        fuzz::promise(same(change.before, again.before) && same(change.after, again.after), "a spooled row is the same",
                      change.relation->name.name);
    }

    void encode(const cdc::Change& change)
    {
        const TableSchema& table = *relations_.at(change.relation->oid);
        cdc::EventContext context;
        context.origin = {"n1", BucketId{0}};
        context.position = {Epoch{1}, Lsn{1}, change.seq};
        context.lsn = Lsn{7};
        try {
            const cdc::TableEncoder& encoder = encoder_.table(table);
            for (const cdc::EncodedRecord& record : encoder_.encode(context, encoder, change, 1)) {
                check(record, table);
            }
        } catch (const FatalError& error) {
            fuzz::promise(std::string_view(error.what()).find("which has no JSON form") != std::string_view::npos,
                          "only a key without JSON form is refused", error.what());
        }
    }

    void check(const cdc::EncodedRecord& record, const TableSchema& table) const
    {
        if (record.key) {
            fuzz::must_be_json("a key is JSON", *record.key);
        }
        for (const kafka::Header& header : record.headers()) {
            if (header.name == kHeaderAbsent) {
                fuzz::promise(AbsentColumns::parse(header.value).has_value(), "absent columns read", header.value);
            }
        }
        if (!record.value) {
            return;
        }
        const auto document = fuzz::must_be_json("a value is JSON", *record.value);
        for (const char* const side : {"before", "after"}) {
            simdjson::dom::object row;
            if (document[side].get(row) != simdjson::SUCCESS) {
                continue;
            }
            for (const auto field : row) {
                const bool known = std::any_of(table.columns.begin(), table.columns.end(),
                                               [&](const ColumnSchema& column) { return column.name == field.key; });
                fuzz::promise(known, "a row has the columns of its relation at that position", field.key);
            }
        }
    }

    fuzz::Input& input_;
    std::map<std::uint32_t, std::shared_ptr<const TableSchema>> relations_;
    std::uint64_t versions_ = 0;
    cdc::PgoutputDecoder decoder_;
    cdc::ChangeCodec codec_;
    cdc::CdcOptions options_ = [] {
        cdc::CdcOptions options;
        options.topic_prefix = "app";
        options.truncate = true;
        return options;
    }();
    cdc::EventEncoder encoder_{options_, "db"};
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    fuzz::Input input(data, size);
    Stream(input).run();
    return 0;
}

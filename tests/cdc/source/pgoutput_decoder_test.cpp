#include "cdc/source/pgoutput_decoder.hpp"

#include "tests/cdc/source/message_bytes.hpp"

#include <gtest/gtest.h>

namespace keyshift::test {
namespace {

using namespace cdc;

constexpr Lsn kLsn{0x16B3748};

std::string from_hex(std::string_view hex)
{
    std::string bytes;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
        bytes += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
    }
    return bytes;
}

MessageBytes relation_message()
{
    MessageBytes message('R');
    message.u32(16'400).text("public").text("items_b3").u8('d').u16(2);
    message.u8(1).text("id").u32(23).u32(0xFFFFFFFF);
    message.u8(0).text("name").u32(25).u32(0xFFFFFFFF);
    return message;
}

/// What PostgreSQL 15.20 sent for this transaction (pg_logical_slot_get_binary_changes), v with STORAGE EXTERNAL:
///   INSERT INTO t VALUES (1, repeat('a', 3000)); UPDATE t SET id = 2; INSERT INTO t VALUES (3, NULL);
///   DELETE FROM t WHERE id = 2; SELECT pg_logical_emit_message(true, 'keyshift', '{}'); INSERT INTO m VALUES (1, 'sad');
///   TRUNCATE t, m
std::vector<std::string> captured()
{
    std::string big = "4900009b314e00027400000001317400000bb8";
    for (int i = 0; i < 3000; ++i) {
        big += "61";
    }
    std::vector<std::string> messages;
    for (const std::string& hex : std::vector<std::string>{
             "420000000039d30030000303f7c761eb23000014e7",
             "5200009b317075626c69630074006400020169640000000017ffffffff00760000000019ffffffff",
             big,
             "5500009b314b00027400000001316e4e000274000000013275",
             "4900009b314e00027400000001336e",
             "4400009b314b00027400000001326e",
             "4d010000000039d2ee206b6579736869667400000000027b7d",
             "5900009b397075626c6963006d6f6f6400",
             "5200009b3d7075626c6963006d006400020169640000000017ffffffff006d6f6f640000009b39ffffffff",
             "4900009b3d4e00027400000001317400000003736164",
             "54000000020000009b3100009b3d",
             "43000000000039d300300000000039d30238000303f7c761eb23",
         }) {
        messages.push_back(from_hex(hex));
    }
    return messages;
}
enum : std::size_t {
    kBegin,
    kRelation,
    kInsert,
    kUpdate,
    kInsertNull,
    kDelete,
    kMessage,
    kType,
    kOther,
    kOtherInsert,
    kTruncate,
    kCommit
};

TEST(PgoutputDecoder, DecodesATransactionByteForByte)
{
    PgoutputDecoder decoder;
    const std::vector<std::string> bytes = captured();
    const auto change = [&](std::size_t index) {
        return std::get<const Change*>(decoder.decode(kLsn, bytes[index]));
    };

    const auto begin = std::get<Begin>(decoder.decode(kLsn, bytes[kBegin]));
    EXPECT_EQ(begin.commit_lsn.to_string(), "0/39D30030");
    EXPECT_EQ(begin.xid, 5351U);
    EXPECT_EQ(begin.commit_time_us, 1'795'472'467'020'579);

    const auto relation = std::get<std::shared_ptr<const Relation>>(decoder.decode(kLsn, bytes[kRelation]));
    EXPECT_EQ(relation->oid, 0x9b31U);
    EXPECT_EQ(relation->name, (QualifiedName{"public", "t"}));
    EXPECT_EQ(relation->identity, 'd');
    ASSERT_EQ(relation->columns.size(), 2U);
    EXPECT_TRUE(relation->columns[0].identity);
    EXPECT_FALSE(relation->columns[1].identity);
    EXPECT_EQ(relation->columns[1].type_oid, 25U);
    EXPECT_EQ(relation->columns[1].type_modifier, -1);

    const Change* insert = change(kInsert);
    EXPECT_EQ(insert->kind, ChangeKind::insert);
    EXPECT_EQ(insert->relation, relation);
    EXPECT_EQ((*insert->after)[1].text, std::string(3000, 'a'));
    EXPECT_EQ(insert->seq, 0U);
    EXPECT_FALSE(insert->before);

    const Change* update = change(kUpdate);
    EXPECT_EQ(update->kind, ChangeKind::update);
    EXPECT_TRUE(update->old_is_key);
    EXPECT_EQ((*update->before)[0].text, "1");
    EXPECT_EQ((*update->before)[1].kind, Datum::Kind::null);
    EXPECT_EQ((*update->after)[0].text, "2");
    EXPECT_EQ((*update->after)[1].kind, Datum::Kind::unchanged_toast);
    EXPECT_EQ(update->seq, 1U);

    EXPECT_EQ((*change(kInsertNull)->after)[1].kind, Datum::Kind::null);
    const Change* remove = change(kDelete);
    EXPECT_EQ(remove->kind, ChangeKind::remove);
    EXPECT_EQ((*remove->before)[0].text, "2");
    EXPECT_FALSE(remove->after);
    EXPECT_EQ(remove->seq, 3U);

    const auto message = std::get<LogicalMessage>(decoder.decode(kLsn, bytes[kMessage]));
    EXPECT_TRUE(message.transactional);
    EXPECT_EQ(message.prefix, "keyshift");
    EXPECT_EQ(message.content, "{}");

    EXPECT_TRUE(std::holds_alternative<Nothing>(decoder.decode(kLsn, bytes[kType])));
    const auto other = std::get<std::shared_ptr<const Relation>>(decoder.decode(kLsn, bytes[kOther]));
    EXPECT_EQ((*change(kOtherInsert)->after)[1].text, "sad");

    const auto truncation = std::get<Truncation>(decoder.decode(kLsn, bytes[kTruncate]));
    EXPECT_EQ(truncation.relations, (std::vector{relation, other}));
    EXPECT_EQ(truncation.first_seq, 5U);

    const auto commit = std::get<Commit>(decoder.decode(kLsn, bytes[kCommit]));
    EXPECT_EQ(commit.commit_lsn, begin.commit_lsn);
    EXPECT_EQ(commit.end_lsn.to_string(), "0/39D30238");
}

TEST(PgoutputDecoder, NumbersChangesAnewInEachTransaction)
{
    PgoutputDecoder decoder;
    const std::string begin = captured()[kBegin];
    const std::string relation = captured()[kRelation];
    const std::string insert = captured()[kInsertNull];
    decoder.decode(kLsn, begin);
    decoder.decode(kLsn, relation);
    decoder.decode(kLsn, insert);
    EXPECT_EQ(std::get<const Change*>(decoder.decode(kLsn, insert))->seq, 1U);
    decoder.decode(kLsn, begin);
    EXPECT_EQ(std::get<const Change*>(decoder.decode(kLsn, insert))->seq, 0U);
}

TEST(PgoutputDecoder, AMessageCutOffAnywhereIsAnErrorWithItsPositionAndNothingIsReadBeyond)
{
    const std::vector<std::string> messages = captured();
    for (std::size_t index = 0; index < messages.size(); ++index) {
        const std::string& whole = messages[index];
        for (std::size_t length = 0; length < whole.size(); ++length) {
            PgoutputDecoder decoder;
            decoder.decode(kLsn, messages[kRelation]);
            decoder.decode(kLsn, messages[kOther]);
            // A heap block of exactly this length, so that a sanitizer sees any byte read beyond it.
            const std::vector<char> cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
            try {
                decoder.decode(kLsn, {cut.data(), cut.size()});
                ADD_FAILURE() << "message " << index << " cut to " << length << " bytes was taken";
            } catch (const FatalError& error) {
                EXPECT_NE(error.parts().what.find("0/16B3748"), std::string::npos);
            }
        }
    }
}

TEST(PgoutputDecoder, RefusesWhatIsNotPgoutput)
{
    PgoutputDecoder decoder;
    decoder.decode(kLsn, relation_message().bytes());
    const std::string unknown_kind = MessageBytes('z').u32(1);
    const std::string unknown_relation = MessageBytes('I').u32(1).u8('N').u16(0);
    const std::string wrong_columns = MessageBytes('I').u32(16'400).u8('N').u16(1).value("1");
    const std::string binary = MessageBytes('I').u32(16'400).u8('N').u16(2).value("1").u8('b').u32(0);
    const std::string huge = MessageBytes('I').u32(16'400).u8('N').u16(2).value("1").u8('t').u32(0xFFFFFFFF);
    const std::string far_future = MessageBytes('B').u64(1).u64(0x7FFD'E752'3250'0005).u32(3);
    const std::string far_past = MessageBytes('B').u64(1).u64(0x8000'0000'0000'0000).u32(3);
    for (const std::string& message :
         {unknown_kind, unknown_relation, wrong_columns, binary, huge, far_future, far_past}) {
        EXPECT_THROW(decoder.decode(kLsn, message), FatalError);
    }
}

TEST(PgoutputDecoder, AChangedRelationIsANewObjectAndTheOldOneStays)
{
    PgoutputDecoder decoder;
    const auto first = std::get<std::shared_ptr<const Relation>>(decoder.decode(kLsn, relation_message().bytes()));
    const auto second = std::get<std::shared_ptr<const Relation>>(decoder.decode(kLsn, relation_message().bytes()));
    EXPECT_NE(first, second);
    EXPECT_EQ(first->columns.size(), 2U);
    const std::string insert = MessageBytes('I').u32(16'400).u8('N').u16(2).value("1").u8('n');
    EXPECT_EQ(std::get<const Change*>(decoder.decode(kLsn, insert))->relation, second);
}

TEST(PgoutputDecoder, TypeAndOriginSayNothing)
{
    PgoutputDecoder decoder;
    const std::string type = MessageBytes('Y').u32(1).text("public").text("mood");
    const std::string origin = MessageBytes('O').u64(1).text("elsewhere");
    EXPECT_TRUE(std::holds_alternative<Nothing>(decoder.decode(kLsn, type)));
    EXPECT_TRUE(std::holds_alternative<Nothing>(decoder.decode(kLsn, origin)));
}

} // namespace
} // namespace keyshift::test

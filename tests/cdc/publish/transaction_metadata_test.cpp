#include "cdc/publish/transaction_metadata.hpp"

#include <gtest/gtest.h>

namespace keyshift::cdc {
namespace {

Begin transaction(std::uint32_t xid)
{
    return {Lsn{500}, 1'795'629'380'884'597, xid};
}

std::string block(TransactionMetadata& metadata, std::string_view collection, std::uint64_t lsn)
{
    std::string out;
    metadata.append_block(out, collection, Lsn{lsn});
    return out;
}

TEST(TransactionMetadata, CountsEventsInAllAndByCollection)
{
    TransactionMetadata metadata;
    metadata.begin(transaction(733));
    EXPECT_FALSE(metadata.open());
    const TransactionRecord begin = metadata.begin_record(Lsn{26414016});
    EXPECT_TRUE(metadata.open());
    EXPECT_EQ(begin.key, R"({"id":"733:26414016"})");
    EXPECT_EQ(
        begin.value,
        R"({"status":"BEGIN","id":"733:26414016","event_count":null,"data_collections":null,"ts_ms":1795629380884})");
    EXPECT_EQ(block(metadata, "public.t1", 1), R"({"id":"733:1","total_order":1,"data_collection_order":1})");
    EXPECT_EQ(block(metadata, "public.t2", 2), R"({"id":"733:2","total_order":2,"data_collection_order":1})");
    EXPECT_EQ(block(metadata, "public.t1", 3), R"({"id":"733:3","total_order":3,"data_collection_order":2})");
    const TransactionRecord end = metadata.end_record(Lsn{600});
    EXPECT_EQ(end.key, R"({"id":"733:600"})");
    EXPECT_EQ(
        end.value,
        R"({"status":"END","id":"733:600","event_count":3,"data_collections":[{"data_collection":"public.t1","event_count":2},{"data_collection":"public.t2","event_count":1}],"ts_ms":1795629380884})");
    EXPECT_FALSE(metadata.open());
}

TEST(TransactionMetadata, ATransactionThatComesAgainIsCountedAnew)
{
    TransactionMetadata metadata;
    metadata.begin(transaction(7));
    static_cast<void>(metadata.begin_record(Lsn{1}));
    static_cast<void>(block(metadata, "public.t", 1));
    metadata.begin(transaction(7));
    EXPECT_FALSE(metadata.open()) << "its BEGIN is written again";
    static_cast<void>(metadata.begin_record(Lsn{1}));
    EXPECT_EQ(block(metadata, "public.t", 1), R"({"id":"7:1","total_order":1,"data_collection_order":1})");
}

TEST(TransactionMetadata, OneWithoutEventsHasCountsOfZero)
{
    TransactionMetadata metadata;
    metadata.begin(transaction(744));
    static_cast<void>(metadata.begin_record(Lsn{1}));
    EXPECT_EQ(metadata.end_record(Lsn{2}).value,
              R"({"status":"END","id":"744:2","event_count":0,"data_collections":[],"ts_ms":1795629380884})");
}

} // namespace
} // namespace keyshift::cdc

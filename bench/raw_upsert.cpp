#include "bench/projections.hpp"
#include "projections/column_arrays.hpp"

#include <algorithm>

namespace keyshift::bench {

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kBatch = 1000;
constexpr std::uint32_t kTextArray = 1009;
constexpr std::uint32_t kBigintArray = 1016;
constexpr std::uint32_t kUuidArray = 2951;

constexpr const char* kUpsert =
    "INSERT INTO public.raw AS t SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::bigint[], $6::bigint[], "
    "$7::bigint[]) ON CONFLICT (user_id, id, post_id) DO UPDATE SET content = excluded.content, epoch = excluded.epoch, "
    "lsn = excluded.lsn, seq = excluded.seq WHERE (t.epoch, t.lsn, t.seq) < (excluded.epoch, excluded.lsn, excluded.seq)";

} // namespace

RawUpsert::RawUpsert(const Bench& bench, const std::string& table) : node_(bench.settings.connection("n1", "bench"))
{
    // As the daemon: a lost tail is written again.
    node_.script(
        "SET synchronous_commit = off; CREATE TABLE public.raw (user_id uuid, id uuid, post_id uuid, content text, "
        "epoch bigint, lsn bigint, seq bigint, PRIMARY KEY (user_id, id, post_id))");
    const pg::Result rows = node_.query("SELECT user_id, id, post_id, content FROM public." + table);
    std::vector<std::string> values(kBatch);
    std::vector<const std::string*> column;
    for (int begin = 0; begin < rows.rows(); begin += static_cast<int>(kBatch)) {
        Batch batch;
        batch.rows = std::min(kBatch, static_cast<std::size_t>(rows.rows() - begin));
        for (int number = 0; number < rows.columns(); ++number) {
            column.clear();
            for (std::size_t row = 0; row < batch.rows; ++row) {
                values[row] = rows.text(begin + static_cast<int>(row), number);
                column.push_back(&values[row]);
            }
            batch.columns.push_back(number < 3 ? projections::binary_uuid_array(column).value()
                                               : projections::binary_text_array(column));
        }
        batches_.push_back(std::move(batch));
    }
}

RawUpsert::~RawUpsert()
{
    try {
        node_.query("DROP TABLE public.raw");
    } catch (const Error&) {
        // The servers are thrown away anyway.
    }
}

double RawUpsert::write()
{
    ++version_;
    std::size_t rows = 0;
    const auto begin = Clock::now();
    for (const Batch& batch : batches_) {
        const std::string same = projections::binary_bigint_array(std::vector<std::uint64_t>(batch.rows, version_));
        std::vector<pg::Parameter> parameters;
        for (const std::string& column : batch.columns) {
            parameters.emplace_back(std::string_view(column), parameters.size() < 3 ? kUuidArray : kTextArray);
        }
        for (int number = 0; number < 3; ++number) {
            parameters.emplace_back(std::string_view(same), kBigintArray);
        }
        node_.run_prepared("raw", kUpsert, parameters);
        rows += batch.rows;
    }
    return static_cast<double>(rows) / seconds_since(begin);
}

} // namespace keyshift::bench

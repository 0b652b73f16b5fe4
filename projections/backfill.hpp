#pragma once
/// Fills a projection with the rows that were there before its first event: bucket by bucket on the bucket's owner, with the
/// lowest version, so that live events always win. One session reads, several write. Needs no windows and may be run again at
/// any point.

#include "projections/backfill_writers.hpp"
#include "projections/projection_record.hpp"

#include <chrono>
#include <memory>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

namespace keyshift::projections {

class Backfill {
public:
    /// `owner_epoch`: of the runner that it belongs to. With `limits.max_rejections` rows that PostgreSQL does not take it gives up.
    Backfill(const ProjectionRecord& record, pg::ConnectionSettings catalog, std::int64_t owner_epoch,
             const BackfillLimits& limits)
        : id_(record.id), definition_(record.definition), catalog_settings_(std::move(catalog)),
          catalog_(catalog_settings_), owner_epoch_(owner_epoch), limits_(limits)
    {
    }

    /// All buckets that are not in `done`; each is stored in the catalog as it is finished.
    void run(std::set<std::string> done, std::stop_token stop);
    /// Of a definition with `everywhere`: all rows to these nodes, which the catalog then says are filled. Not resumed by
    /// buckets: who is unfilled may be another one by then.
    void fill_nodes(const std::set<std::string>& nodes, std::stop_token stop);

private:
    struct Source {
        std::string group; ///< empty: the table is not distributed
        BucketLayout buckets;
        std::string node; ///< of a table that is not distributed
    };

    Source source();
    std::string owner(const Source& source, BucketId bucket);
    /// False: the node does not own the bucket (any more).
    bool copy_bucket(const Source& source, const std::string& node, BucketId bucket, std::stop_token stop);
    /// From the cursor `rows` until its end.
    void copy_rows(pg::Connection& connection, std::stop_token stop);
    /// False: stop was requested.
    bool keep_to_rate(std::size_t rows, std::stop_token stop);
    /// False: stop was requested.
    bool wait_visible(const std::string& node, std::stop_token stop);
    /// False: stop was requested.
    bool copy_all(std::set<std::string> done, bool resumable, std::stop_token stop);
    void mark_done(BucketId bucket);

    std::int64_t id_;
    const Definition& definition_;
    pg::ConnectionSettings catalog_settings_;
    pg::Connection catalog_;
    std::int64_t owner_epoch_;
    BackfillLimits limits_;
    std::chrono::steady_clock::time_point not_before_ = {}; ///< the next rows are read
    std::unique_ptr<BackfillWriters> writers_;
};

} // namespace keyshift::projections

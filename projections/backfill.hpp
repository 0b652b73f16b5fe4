#pragma once
/// Fills a projection with the rows that were there before its first event: bucket by bucket on the bucket's owner, with the
/// lowest version, so that live events always win. Needs no windows and may be run again at any point.

#include "projections/batch_writer.hpp"
#include "projections/projection_record.hpp"

#include <set>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

namespace keyshift::projections {

class Backfill {
public:
    /// `owner_epoch`: of the runner that it belongs to. With `max_rejections` rows that PostgreSQL does not take it gives up.
    Backfill(const ProjectionRecord& record, pg::ConnectionSettings catalog, std::int64_t owner_epoch,
             std::size_t batch_rows, std::int64_t max_rejections)
        : id_(record.id), definition_(record.definition),
          target_(std::move(catalog), definition_, Target::Progress::elsewhere),
          writer_(definition_, target_, owner_epoch), batch_rows_(batch_rows), max_rejections_(max_rejections)
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
    void write_or_reject(std::span<RowChange> changes, std::stop_token stop);
    /// False: stop was requested.
    bool wait_visible(const std::string& node, std::stop_token stop);
    /// False: stop was requested.
    bool copy_all(std::set<std::string> done, bool resumable, std::stop_token stop);
    void mark_done(BucketId bucket);

    std::int64_t id_;
    const Definition& definition_;
    Target target_;
    BatchWriter writer_;
    std::size_t batch_rows_;
    std::int64_t max_rejections_;
    std::int64_t rejected_ = 0;
};

} // namespace keyshift::projections

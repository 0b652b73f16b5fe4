#pragma once
/// Row changes of the donor's stream as statements on the recipient. Consecutive changes of one kind to different rows of
/// a table become one statement over unnest(text arrays), each value cast by its column's type. One thread; the caller
/// owns the transaction.

#include "cdc/source/subscription.hpp"
#include "core/pg/connection.hpp"
#include "resharder/bucket_move.hpp"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace keyshift::resharder {

struct ApplyTarget {
    const MoveTable* table = nullptr;
    std::string quoted; ///< where the copy stands now
};

class ChangeApplier {
public:
    /// `strict_order`: changes of different tables keep their order (foreign keys and triggers are live there).
    /// `rows_a_statement`: 1 applies each change by itself.
    ChangeApplier(pg::Connection& recipient, std::vector<ApplyTarget> targets, bool strict_order,
                  std::size_t rows_a_statement);

    void add(const cdc::OwnedChange& change);
    /// Runs what is still pending.
    void flush();

private:
    using Values = std::vector<std::optional<std::string>>;
    struct Row {
        std::vector<std::size_t> set; ///< columns of the table that are written
        Values written;
        std::vector<std::size_t> by; ///< columns that find the row
        Values found_by;
    };
    struct Run {
        cdc::ChangeKind kind = cdc::ChangeKind::insert;
        std::vector<std::size_t> set;
        std::vector<std::size_t> by;
        std::vector<std::string> arrays; ///< array literals without the closing brace: by, then set
        std::set<std::string> keys;      ///< rows touched; none twice in a run
        std::size_t rows = 0;
        std::size_t bytes = 0;
    };
    struct Target {
        ApplyTarget place;
        std::map<std::string, std::size_t> column; ///< name -> index in table->columns
        Run run;
    };

    Target& target_of(const cdc::Relation& relation);
    Row row_of(const Target& target, const cdc::OwnedChange& change) const;
    void append(Target& target, const cdc::OwnedChange& change, const Row& row);
    void run(Target& target);
    void truncate(Target& target);

    pg::Connection& recipient_;
    std::vector<Target> targets_;
    bool strict_order_;
    std::size_t rows_a_statement_;
};

} // namespace keyshift::resharder

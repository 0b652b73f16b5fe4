#pragma once
/// The cluster that the reads are asked of: the same rows on more and more nodes, moved there by Keyshift.

#include "bench/measured.hpp"
#include "bench/reads/reads.hpp"
#include "core/pg/connection.hpp"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace keyshift::bench {

struct WriteCost {
    double wal_bytes = 0; ///< over all nodes
    double commits = 0;   ///< that wrote anything
};

class Cluster {
public:
    /// n1 alone, with all rows.
    explicit Cluster(const Bench& bench);

    std::size_t nodes() const { return connections_.size(); }
    pg::Connection& node(std::size_t number) { return connections_.at(number); }
    /// Adds nodes until there are so many, and moves their share to them.
    void grow(std::size_t nodes);

    void make_index(const Read& read);
    void drop_index();
    void make_projection(const Read& read);
    void drop_projection(const Read& read);

    /// Of the tables that the read needs, with their indexes, over all nodes; with what belongs to `projection`, if any.
    std::int64_t storage(const Read& read, const std::string& projection);
    /// Of one insert, all that follows from it included. `projection`: that has to show it, "" where there is none.
    WriteCost write_cost(const Read& read, const std::string& projection);

private:
    struct Written {
        std::int64_t wal_bytes = 0;
        std::int64_t transactions = 0;
    };
    void on_all(const std::string& sql);
    Written written();
    void insert_rows(const Read& read);
    void wait_shown(const std::string& projection);

    const Bench& bench_;
    std::vector<pg::Connection> connections_;
    std::vector<std::pair<std::string, std::string>> posts_; ///< those that get the rows: author, post
};

} // namespace keyshift::bench

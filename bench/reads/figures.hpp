#pragma once
/// What was measured, and how it is shown.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace keyshift::bench {

struct Figures {
    std::string read; ///< "interactions of a user"
    std::string way;  ///< "index, all nodes at once"
    std::size_t nodes = 0;
    double buffers = 0; ///< of one read, as the next three
    double round_trips = 0;
    double touched = 0;
    double p50_ms = 0;
    double p99_ms = 0;
    std::int64_t storage = 0; ///< bytes on all nodes
    double wal_bytes = 0;     ///< of one write, as the next
    double commits = 0;
};

/// All on stdout, a line each.
void show(const std::vector<Figures>& figures);
/// Puts the table between the markers of the document.
void write_table(const std::string& document, const std::string& where, const std::vector<Figures>& figures);
/// p50 and buffers over the nodes, a panel for each read.
void write_plot(const std::string& file, const std::vector<Figures>& figures);

} // namespace keyshift::bench

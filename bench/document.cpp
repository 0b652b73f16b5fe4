#include "bench/document.hpp"

#include <fmt/core.h>

#include <fstream>
#include <map>
#include <sstream>

namespace keyshift::bench {

namespace {

const char* const kHead =
    "# Benchmarks\n\nWritten by `./dev bench`: a section anew whenever all of its parts have run. The machine is shared and noisy: the ratios "
    "against a limit measured in the same run count, not the absolute figures.\n";

const char* const kHow =
    "The same changes are drained by pg_recvlogical, by the daemon (in alternated order; the median of four rounds) and by the real Debezium 3.2, "
    "warm, with max.batch.size 8192, max.queue.size 32768, poll.interval.ms 50 and lz4 as ours; pg_recvlogical is timed from its first to its last "
    "byte, both others from the first to the last record by the broker's clock. The program links jemalloc: with glibc's allocator draining was a "
    "third slower, since records are made on one thread and freed on another.\n\n"
    "A projection is paused while its changes are written and captured; what is timed is how its stored progress goes through the topic afterwards. Its limit is the "
    "guarded upsert of the same rows, 1,000 a statement, over one connection into a plain table, where the projection also reads Kafka, decodes JSON, divides "
    "the rows among 64 buckets and stores its progress. Visible is what a reader finds who asks the projection each millisecond.\n\n"
    "The Debezium JDBC sink 3.2 reads the very records that the projection reads, which the daemon wrote with cdc.schemas for that part, since the sink needs them. It "
    "upserts into a plain table of one node with the same key, warm after 100,000 rows, with batch.size and max.poll.records 5000, use.reduction.buffer, "
    "reWriteBatchedInserts and synchronous_commit off, one task. Its divergence: 20,000 rows of a distributed table, an update of each third, other users for 2,000, half of the "
    "buckets moved to a second node, the next third updated, other users for 2,000 more, 1,000 deletes; then its place in the topic and the projection's are set back to the "
    "beginning; then one record in ten of the topic is written to its partition's end once more, in shuffled order, as by a writer that was thought dead. After each the rows "
    "are compared with the SELECT over both nodes: those of the projection, of a sink whose table has the projection's key (primary.key.mode record_value, which cannot delete) "
    "and of a sink whose table has the key of the base table (record_key, delete.enabled).\n\n"
    "Moves are timed from the beginning of a job's first to its last switch; the raw COPY pipe runs through one process on the same leaves, "
    "followed by the same index builds. A write block begins when the leaves' lock is asked for and ends when the recipient is open. Catching up: rows written "
    "while a copy is held back, from the end of its index builds until all are applied. The others' writes are those of three clients to buckets that do not move; "
    "a client follows KS001 and asks nobody else.\n";

/// Heading -> what stands below it.
std::map<std::string, std::string> read_sections(const std::string& file)
{
    std::map<std::string, std::string> sections;
    std::ifstream document(file);
    std::string* present = nullptr;
    for (std::string line; std::getline(document, line);) {
        if (line.starts_with("## ")) {
            present = &sections[line.substr(3)];
        } else if (present != nullptr) {
            *present += line + "\n";
        }
    }
    return sections;
}

std::string text_of(const Section& section)
{
    std::string text = "\n" + section.where +
                       "\n\n| what | limit, same run | measured | ratio | goal | |\n|---|---|---|---|---|---|\n";
    for (const Measured& result : section.results) {
        text += fmt::format("| {} | {} | {} | {} | {} | {} |\n", result.what, result.limit, result.measured,
                            result.ratio, result.goal, result.reached ? "reached" : "not reached");
    }
    return text + "\n";
}

} // namespace

void write_sections(const std::string& file, const std::vector<Section>& sections)
{
    std::map<std::string, std::string> all = read_sections(file);
    for (const Section& section : sections) {
        if (section.whole) {
            all[section.heading] = text_of(section);
        }
    }
    all["How"] = std::string("\n") + kHow;
    std::ofstream document(file);
    document << kHead;
    for (const char* heading : {"Capture", "Projections", "Moves", "How"}) {
        if (all.contains(heading)) {
            std::string& text = all[heading];
            while (text.ends_with("\n\n")) {
                text.pop_back();
            }
            document << "\n## " << heading << "\n" << text;
        }
    }
}

} // namespace keyshift::bench

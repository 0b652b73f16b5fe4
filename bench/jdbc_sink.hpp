#pragma once
/// The Debezium JDBC sink 3.2, which keeps a table of n1 from a topic of ours, written with cdc.schemas. It upserts in
/// batches of 5,000 that the driver rewrites to statements of many rows, with the reduction buffer, as many records a poll as
/// a batch has, one task, synchronous_commit off as ours.

#include "bench/connector.hpp"
#include "core/pg/connection.hpp"
#include "demo/settings.hpp"

#include <string>

namespace keyshift::bench {

class JdbcSink {
public:
    /// From the beginning of the topic of public.`source` into public.`table`, which exists. `key`: the columns by which rows
    /// are told apart, of the values; then deletes are not followed, the sink has no way to. Empty: the records' own keys.
    JdbcSink(const demo::Settings& settings, const std::string& source, std::string table, const std::string& key = {});

    void stop() { connector_.stop(); }
    void resume() { connector_.resume(); }
    /// While it is stopped: all that the topic holds is delivered again.
    void forget_place() { connector_.forget_place(); }

    /// Waits until so many rows have this content. Rows a second, from the first that does to the last.
    double wait_content(const std::string& content, long long rows);

private:
    long long count(const std::string& content);

    std::string table_;
    pg::Connection node_;
    Connector connector_;
};

/// A daemon that is started meanwhile writes JSON with schemas (cdc.schemas): the sink reads nothing else.
class WithSchemas {
public:
    WithSchemas();
    ~WithSchemas();
    WithSchemas(const WithSchemas&) = delete;
    WithSchemas& operator=(const WithSchemas&) = delete;
};

} // namespace keyshift::bench

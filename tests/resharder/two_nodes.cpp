#include "tests/resharder/two_nodes.hpp"

#include "catalog/node_sql.hpp"
#include "catalog/operations.hpp"
#include "core/backoff.hpp"
#include "core/json.hpp"
#include "tests/resharder/placement_queries.hpp"

#include <chrono>
#include <stdexcept>

namespace keyshift::test {

namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kBuckets = 4;

const char* const kTables = R"(
CREATE TABLE public.users (user_id bigint PRIMARY KEY, name text NOT NULL CHECK (name <> ''), size int GENERATED ALWAYS AS (length(name)) STORED) PARTITION BY HASH (user_id);
CREATE TABLE public.posts (user_id bigint REFERENCES public.users ON DELETE CASCADE, post_id bigint, content text, at timestamptz DEFAULT now(),
                           PRIMARY KEY (user_id, post_id)) PARTITION BY HASH (user_id);
CREATE INDEX posts_content ON public.posts (left(content, 8));
)";
const char* const kProjection = R"(
CREATE TABLE keyshift.likes__g1 (user_id bigint, post_id bigint, _epoch bigint, _lsn bigint, _seq bigint, _live boolean,
                                 PRIMARY KEY (user_id, post_id)) PARTITION BY HASH (user_id);
)";

} // namespace

TwoNodes::TwoNodes(bool projection)
    : projection_(projection), group_(projection ? "likes" : "users"), first_(1, "move_a"), second_(2, "move_b"),
      reshard_metrics_(metrics_.registry())
{
    make_catalog();
    make_node("n1", first_, true);
    make_node("n2", second_, false);
    for (const TestDatabase* database : {&first_, &second_}) {
        database->connect().query("SELECT pg_create_logical_replication_slot($1, 'test_decoding')",
                                  {database->name() + "_slot"});
    }
}

DecodedStream& TwoNodes::stream(const std::string& node)
{
    const std::lock_guard lock(streams_mutex_);
    auto& made = node == "n1" ? first_stream_ : second_stream_;
    TestDatabase& database = node == "n1" ? first_ : second_;
    if (!made) {
        made = std::make_unique<DecodedStream>(database.settings(node), database.name() + "_slot", consume_slots_);
    }
    return *made;
}

std::unique_ptr<BackgroundProgram> TwoNodes::run_program(const std::string& failpoints, std::chrono::milliseconds grace)
{
    return std::make_unique<BackgroundProgram>(
        std::vector<std::string>{KEYSHIFT_MOVER_PROGRAM, first_.conninfo(), first_.name() + "_slot", second_.conninfo(),
                                 second_.name() + "_slot", std::to_string(grace.count())},
        Environment{{"KEYSHIFT_FAILPOINTS", failpoints}});
}

void TwoNodes::make_catalog()
{
    pg::Connection catalog = first_.connect("catalog");
    catalog::init(catalog, "test", "test", false);
    for (const auto& [name, database] : {std::pair("n1", &first_), std::pair("n2", &second_)}) {
        catalog.query("INSERT INTO keyshift.node (name, dsn, host, port, dbname, system_identifier, timeline, slot) "
                      "VALUES ($1, $2, '127.0.0.1', $3, $4, '1', 1, $5)",
                      {name, database->conninfo(), std::to_string(database->port()), database->name(),
                       database->name() + "_slot"});
    }
    catalog.query("INSERT INTO keyshift.table_group VALUES ($1, $2, '{bigint}', $3)",
                  {group_, std::to_string(kBuckets), projection_ ? "projection" : "table"});
    const char* const insert =
        "INSERT INTO keyshift.captured_table (schema_name, table_name, group_name, key_columns) VALUES ($1, $2, $3, '{user_id}')";
    if (projection_) {
        catalog.query(insert, {"keyshift", "likes__g1", group_});
    } else {
        catalog.query(insert, {"public", "posts", group_});
        catalog.query(insert, {"public", "users", group_});
    }
    for (std::uint32_t bucket = 0; bucket < kBuckets; ++bucket) {
        catalog.query("INSERT INTO keyshift.bucket VALUES ($1, $2, 'n1', 1)", {group_, std::to_string(bucket)});
        catalog.query("INSERT INTO keyshift.bucket_history VALUES ($1, $2, 1, 'n1', '0/0')",
                      {group_, std::to_string(bucket)});
    }
}

void TwoNodes::make_node(const std::string& node, TestDatabase& database, bool owner)
{
    pg::Connection connection = database.connect(node);
    pg::Connection catalog = first_.connect("catalog");
    const catalog::Group group = catalog::group(catalog, group_);
    pg::Transaction transaction(connection);
    catalog::install_node_schema(connection, "test", node);
    connection.script(projection_ ? kProjection : kTables);
    for (std::uint32_t bucket = 0; bucket < kBuckets; ++bucket) {
        connection.query("INSERT INTO keyshift.local_bucket (group_name, bucket, state, epoch, open_lsn, open_xid) "
                         "VALUES ($1, $2, $3, 1, '0/0', '3')",
                         {group_, std::to_string(bucket), owner ? "open" : "closed"});
    }
    for (const auto& table : catalog::tables_of_group(catalog, group_)) {
        for (std::uint32_t bucket = 0; bucket < kBuckets; ++bucket) {
            catalog::create_placeholder(connection, table.name, group, static_cast<BucketId>(bucket));
            if (!owner) {
                catalog::create_reject_trigger(connection,
                                               catalog::leaf_name(table.name, static_cast<BucketId>(bucket)), group_,
                                               static_cast<BucketId>(bucket), "");
            }
        }
        catalog::register_table(connection, table.name, group, {"user_id"}, !projection_);
    }
    for (std::uint32_t bucket = 0; bucket < kBuckets; ++bucket) {
        catalog::write_local_placement(connection, group_, static_cast<BucketId>(bucket), {"n1", static_cast<Epoch>(1)},
                                       catalog::node(catalog, "n1").address);
    }
    transaction.commit();
}

void TwoNodes::load(int users, int posts)
{
    pg::Connection n1 = administrator("n1");
    const std::string count = std::to_string(users);
    n1.query("INSERT INTO public.users SELECT i, 'user ' || i FROM generate_series(1, " + count + ") i");
    n1.query("SET session_replication_role = replica"); // no foreign key checks: faster
    n1.query("INSERT INTO public.posts SELECT 1 + i % " + count + ", i, repeat('x', i % 50) FROM generate_series(1, " +
             std::to_string(posts) + ") i");
    // So that the test's stream does not read this again at each poll.
    for (int times = 0; times < 2; ++times) {
        n1.query("CHECKPOINT");
        n1.query("SELECT pg_replication_slot_advance($1, pg_current_wal_flush_lsn())", {first_.name() + "_slot"});
    }
}

pg::Connection TwoNodes::connect(const std::string& node) const
{
    return node == "n2" ? second_.connect(node) : first_.connect(node);
}

TwoNodes::Running::Running(TwoNodes& cluster, const resharder::ReshardOptions& options)
    : options_(std::make_shared<resharder::LiveOptions>(options)),
      resharder_(
          cluster.first_.settings("catalog"),
          [&cluster](const std::string& node) -> cdc::StreamPort* { return &cluster.stream(node); }, options_,
          cluster.reshard_metrics_),
      thread_([this](std::stop_token stop) { resharder_.run(std::move(stop)); })
{
}

TwoNodes::Running::~Running()
{
    thread_.request_stop();
    thread_.join();
}

std::int64_t TwoNodes::start(const std::vector<std::uint32_t>& buckets, const std::string& to)
{
    pg::Connection catalog = first_.connect("catalog");
    resharder::PlanWish wish;
    wish.to = {to};
    wish.buckets = buckets;
    return resharder::start(catalog, wish, std::nullopt);
}

std::string TwoNodes::wait_job(std::int64_t job)
{
    wait_until("n1",
               "SELECT state IN ('done', 'failed', 'cancelled') FROM keyshift.job WHERE id = " + std::to_string(job));
    return value("n1", "SELECT state FROM keyshift.job WHERE id = " + std::to_string(job));
}

std::string TwoNodes::reshard(const std::vector<std::uint32_t>& buckets, const std::string& to)
{
    return wait_job(start(buckets, to));
}

void TwoNodes::wait_until(const std::string& node, const std::string& query)
{
    pg::Connection connection = connect(node);
    for (int tries = 0; tries < 12'000; ++tries) {
        const auto rows = connection.query(query);
        if (rows.rows() > 0 && rows.text(0, 0) == "t") {
            return;
        }
        sleep_for(10ms, std::stop_token());
    }
    pg::Connection catalog = first_.connect("catalog");
    throw std::runtime_error("never true: " + query + "\n" + resharder::status(catalog, std::nullopt).dump(2));
}

std::string TwoNodes::value(const std::string& node, const std::string& query)
{
    const auto rows = connect(node).query(query);
    return rows.rows() == 0 ? "" : std::string(rows.text(0, 0));
}

std::string TwoNodes::leftovers(const std::string& node)
{
    return value(node, kLeftovers);
}

std::string TwoNodes::fingerprint(const std::string& node)
{
    return value(node, kFingerprint);
}

} // namespace keyshift::test

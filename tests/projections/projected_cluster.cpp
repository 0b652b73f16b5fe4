#include "tests/projections/projected_cluster.hpp"

#include "core/backoff.hpp"
#include "core/change_event.hpp"
#include "core/json.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>

namespace keyshift::test {

using namespace std::chrono_literals;

ProjectedCluster::ProjectedCluster() : projection_metrics_(metrics_.registry())
{
    cluster_.add_database();
    cluster_.add_database();
    cluster_.connect(0).script(
        "CREATE TABLE public.likes (post_id bigint, like_id bigint, user_id bigint NOT NULL, amount int, content text, "
        "PRIMARY KEY (post_id, like_id)); ALTER TABLE public.likes ALTER COLUMN content SET STORAGE EXTERNAL; "
        "INSERT INTO public.likes SELECT i % 50, i, i % 20, i % 3, 'like ' || i FROM generate_series(1, 400) i");
    cluster_.add_node(0);
    cluster_.distribute("likes", {"post_id"}, {}, 4);
    cluster_.add_node(1);
    options_.topic_prefix = catalog::meta(cluster_.catalog(), "topic_prefix");
    options_.kafka = TestServers().kafka();
    options_.heartbeat_interval = 200ms;
    options_.partitions = 2;
    projection_options_.topic_prefix = options_.topic_prefix;
    projection_options_.kafka = options_.kafka;
    projection_options_.partitions = options_.partitions;
    for (const catalog::Node& node : catalog::nodes(cluster_.catalog())) {
        cdc_metrics_.push_back(std::make_unique<metrics::CdcMetrics>(metrics_.registry(), node.name));
        streams_.push_back(
            std::make_unique<cdc::NodeStream>(node, cluster_.catalog().settings(), options_, *cdc_metrics_.back()));
        stream_threads_.emplace_back(
            [stream = streams_.back().get()](std::stop_token stop) { stream->run(std::move(stop)); });
    }
    start_projections();
}

ProjectedCluster::~ProjectedCluster()
{
    stop_projections();
    for (auto& thread : stream_threads_) {
        thread.request_stop();
        thread.join();
    }
}

void ProjectedCluster::start_projections()
{
    service_ = std::make_unique<projections::ProjectionService>(cluster_.catalog().settings(), projection_options_,
                                                                projection_metrics_);
    service_thread_ = std::jthread([service = service_.get()](std::stop_token stop) { service->run(std::move(stop)); });
}

void ProjectedCluster::stop_projections()
{
    service_thread_ = {};
    service_.reset();
}

void ProjectedCluster::create(const std::string& name, const std::string& key, const std::string& sql)
{
    projections::CreateRequest request;
    request.name = name;
    request.key = {key};
    request.sql = sql;
    request.buckets = 4;
    request.apply = true;
    projections::create(catalog(), request);
}

void ProjectedCluster::create_and_wait(const std::string& name, const std::string& key, const std::string& sql)
{
    create(name, key, sql);
    wait_until("SELECT state = 'live' FROM keyshift.projection WHERE name = '" + name + "'");
}

bool ProjectedCluster::wait_until(const std::string& query)
{
    for (int tries = 0; tries < 3000; ++tries) {
        const pg::Result row = catalog().query(query);
        if (row.rows() == 1 && row.text(0, 0) == "t") {
            return true;
        }
        sleep_for(20ms, {});
    }
    ADD_FAILURE() << "never true: " << query << "\n" << projections::list(catalog()).dump(2);
    return false;
}

bool ProjectedCluster::wait_until_captured()
{
    for (const std::size_t node : {0U, 1U}) {
        pg::Connection connection = connect(node);
        const std::string lsn = one(connection, "SELECT pg_current_wal_insert_lsn()");
        for (int tries = 0; streams_.at(node)->status().confirmed_lsn < Lsn::parse(lsn).value(); ++tries) {
            if (tries > 3000) {
                ADD_FAILURE() << "node " << node << " is never captured up to " << lsn;
                return false;
            }
            sleep_for(20ms, {});
        }
    }
    return true;
}

std::string ProjectedCluster::verify(const std::string& name)
{
    const auto found = projections::verify(catalog(), name, {});
    return fmt::format("{}/{}/{}", found.at("missing").dump(), found.at("extra").dump(), found.at("different").dump());
}

std::vector<std::string> ProjectedCluster::rows(const std::string& query)
{
    std::vector<std::string> all;
    for (const std::size_t node : {0U, 1U}) {
        pg::Connection connection = connect(node);
        const pg::Result found = connection.query(query);
        for (int row = 0; row < found.rows(); ++row) {
            all.emplace_back(found.text(row, 0));
        }
    }
    std::sort(all.begin(), all.end());
    return all;
}

std::vector<std::string> ProjectedCluster::rows_once(const std::string& query, const std::vector<std::string>& wanted)
{
    std::vector<std::string> found;
    for (int tries = 0; tries < 1500; ++tries) {
        found = rows(query);
        if (found == wanted) {
            break;
        }
        sleep_for(20ms, {});
    }
    return found;
}

std::string ProjectedCluster::traces(std::size_t node)
{
    pg::Connection connection = connect(node);
    return one(
        connection,
        "SELECT coalesce(string_agg(line, E'\\n' ORDER BY line), '') FROM ("
        "SELECT c.relkind::text || ' ' || n.nspname || '.' || c.relname || ' ' || c.relreplident::text AS line FROM pg_class c JOIN pg_namespace n "
        "  ON n.oid = c.relnamespace WHERE n.nspname IN ('public', 'keyshift') "
        "UNION ALL SELECT 'function ' || p.oid::regprocedure::text FROM pg_proc p WHERE p.pronamespace = 'keyshift'::regnamespace "
        "UNION ALL SELECT 'table ' || root::text FROM keyshift.local_table "
        "UNION ALL SELECT 'bucket ' || group_name || ' ' || bucket FROM keyshift.local_bucket "
        "UNION ALL SELECT 'placement ' || group_name || ' ' || bucket FROM keyshift.local_placement "
        "UNION ALL SELECT 'progress ' || projection FROM keyshift.projection_progress) x");
}

void ProjectedCluster::produce(const std::string& key, const std::string& value, const std::string& position)
{
    kafka::Producer producer(options_.kafka, "test", 1U << 20U, 0ms, [](const kafka::Delivery&) {});
    const std::string topic = data_topic(options_.topic_prefix, "public", "likes");
    const std::array headers{kafka::Header{kHeaderOrigin, "n1/0"}, kafka::Header{kHeaderPosition, position}};
    ASSERT_TRUE(producer.try_produce({topic, std::nullopt, key, value, headers, 0}));
    ASSERT_TRUE(producer.flush(10s));
}

} // namespace keyshift::test

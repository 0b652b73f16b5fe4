/// A Resharder in a process that a test may kill: CATALOG_AND_N1 SLOT1 N2 SLOT2 GRACE, which is in milliseconds.

#include "metrics/families.hpp"
#include "resharder/resharder.hpp"
#include "tests/resharder/decoded_stream.hpp"

#include <stop_token>
#include <string>

int main(int count, char** arguments)
{
    using namespace keyshift;
    if (count != 6) {
        return 2;
    }
    const auto settings = [](const char* name, const char* conninfo) {
        return pg::ConnectionSettings{name, conninfo, "", "test"};
    };
    test::DecodedStream first(settings("n1", arguments[1]), arguments[2], false);
    test::DecodedStream second(settings("n2", arguments[3]), arguments[4], false);
    metrics::Metrics metrics;
    metrics::ReshardMetrics reshard_metrics(metrics.registry());
    resharder::ReshardOptions options;
    options.grace = std::chrono::milliseconds(std::stoll(arguments[5]));
    const auto stream_of = [&](const std::string& node) -> cdc::StreamPort* {
        return node == "n1" ? &first : &second;
    };
    resharder::Resharder(settings("catalog", arguments[1]), stream_of,
                         std::make_shared<resharder::LiveOptions>(options), reshard_metrics)
        .run(std::stop_source().get_token());
}

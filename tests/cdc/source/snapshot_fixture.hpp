#pragma once
/// What a consumer of the topic of public.items (id, name) has, beside the table.

#include "tests/cdc/source/stream_fixture.hpp"

#include <map>
#include <string>

namespace keyshift::test {

class SnapshotTest : public StreamTest {
protected:
    bool done(std::chrono::seconds limit = std::chrono::seconds(30))
    {
        return eventually(
            [&] {
                return one(cluster_.catalog(), "SELECT count(*) FROM keyshift.snapshot WHERE state <> 'done'") == "0";
            },
            limit);
    }
    /// Last event of each key, as a consumer keeps it; checks that no position goes back.
    std::map<std::string, std::string> fold()
    {
        std::map<std::string, std::string> rows;
        std::map<std::string, SourcePosition> positions;
        for (const FakeEvent& event : kafka_.events("public.items")) {
            const auto before = positions.find(event.key);
            EXPECT_TRUE(before == positions.end() || before->second <= event.position) << event.key;
            positions[event.key] = event.position;
            if (event.kind == cdc::ChangeKind::remove) {
                rows.erase(event.key);
            } else if (event.after.contains("name")) {
                rows[event.key] = event.after.at("name");
            } else {
                rows.try_emplace(event.key, "not in the topic"); // an unchanged large value
            }
        }
        return rows;
    }
    std::map<std::string, std::string> table()
    {
        std::map<std::string, std::string> all;
        const auto rows = node().query("SELECT id, name FROM public.items");
        for (int row = 0; row < rows.rows(); ++row) {
            all.emplace(rows.text(row, 0), rows.text(row, 1));
        }
        return all;
    }
};

} // namespace keyshift::test

#include "core/json.hpp"
#include "projections/batch_writer.hpp"
#include "projections/commands/composite.hpp"
#include "projections/commands/lasting_differences.hpp"
#include "projections/commands/totals_check.hpp"
#include "projections/projections.hpp"
#include "projections/rejection_log.hpp"

#include <algorithm>

namespace keyshift::projections {

namespace {

using Json = nlohmann::json;

constexpr std::size_t kPiece = 500;

class Repair {
public:
    Repair(pg::Connection& catalog, const ProjectionRecord& record, const std::string& copy)
        : definition_(record.definition), comparison_(catalog, record, copy), settled_(catalog, definition_),
          target_(catalog.settings(), definition_, Target::Progress::elsewhere), writer_(definition_, target_, 0)
    {
        if (!copy.empty()) {
            target_.restrict_to({copy});
        }
    }

    Json run(const std::stop_token& stop)
    {
        const Verdicts found = lasting_differences(comparison_, settled_, definition_, Stalled::compare, stop);
        std::vector<RowKey> piece;
        for (const auto& [row, verdict] : found) {
            piece.push_back(row);
            if (piece.size() == kPiece) {
                mend(std::exchange(piece, {}), stop);
            }
        }
        mend(piece, stop);
        std::vector<catalog::OpenNode> nodes = catalog::open_nodes(target_.catalog(), "projection repair");
        const std::int64_t groups = repair_totals(nodes, definition_);
        const auto left = static_cast<std::int64_t>(refused_.size());
        return {{"name", definition_.name},
                {"found", static_cast<std::int64_t>(found.size()) + groups},
                {"repaired", static_cast<std::int64_t>(found.size()) - left + groups},
                {"refused", left},
                {"examples", examples()}};
    }

private:
    void mend(const std::vector<RowKey>& rows, const std::stop_token& stop)
    {
        if (rows.empty()) {
            return;
        }
        const Registers held = comparison_.registers(rows);
        for (const SettledRow& row : settled_.read(rows, stop)) {
            std::vector<RowChange> changes = mending_changes(definition_, row, registers_of(held, row.row));
            std::vector<RowChange*> pointers;
            for (RowChange& change : changes) {
                pointers.push_back(&change);
            }
            try {
                writer_.write(std::move(pointers), {}, stop);
            } catch (const pg::SqlError& error) {
                if (!blames_the_row(error.sqlstate())) {
                    throw;
                }
                refused_.emplace_back(row.row, error.parts().why);
            }
        }
    }

    Json examples() const
    {
        constexpr std::size_t kExamples = 20;
        Json examples = Json::array();
        for (const auto& [row, why] : refused_) {
            if (examples.size() < kExamples) {
                examples.push_back({{"primary_key", row}, {"why", why}});
            }
        }
        return examples;
    }

    const Definition& definition_;
    Comparison comparison_;
    SettledRows settled_;
    Target target_;
    BatchWriter writer_;
    std::vector<std::pair<RowKey, std::string>> refused_;
};

} // namespace

Json repair(pg::Connection& catalog, const std::string& name, std::stop_token stop)
{
    Json report{{"name", name}, {"found", 0}, {"repaired", 0}, {"refused", 0}, {"examples", Json::array()}};
    for (const std::string& member : members_of(catalog, name)) {
        const ProjectionRecord record = read_projection(catalog, member);
        for (const std::string& copy : copies_of(catalog, record.definition)) {
            const Json part = Repair(catalog, record, copy).run(stop);
            for (const char* field : {"found", "repaired", "refused"}) {
                report[field] = report[field].get<std::int64_t>() + part[field].get<std::int64_t>();
            }
            report["examples"].insert(report["examples"].end(), part["examples"].begin(), part["examples"].end());
        }
    }
    return report;
}

} // namespace keyshift::projections

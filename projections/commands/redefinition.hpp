#pragma once
/// Another definition for a projection that is there: what of it may change, and what the base table needs for it.

#include "projections/commands/base_table.hpp"
#include "projections/projection_record.hpp"

#include <string>
#include <vector>

namespace keyshift::projections {

class Redefinition {
public:
    /// Throws Error(refused) with the reason; nothing is changed.
    Redefinition(pg::Connection& catalog, const ProjectionRecord& serving, const RebuildRequest& request,
                 int generation);

    const Definition& definition() const { return definition_; }
    const std::vector<std::string>& alters() const { return alters_; }
    /// Runs the ALTERs on every node; the index they make is known to all generations, so that whichever serves takes it along.
    void prepare_base();

private:
    std::vector<std::string> needed_on(pg::Connection& node);

    pg::Connection& catalog_;
    Definition definition_;
    catalog::CapturedTable base_;
    BucketLayout buckets_{1};
    std::vector<std::string> other_keys_;
    std::vector<std::string> alters_;
};

} // namespace keyshift::projections

#pragma once
/// Three tables on two nodes, projections of several of them, and writes that touch all.

#include "tests/projections/projected_cluster.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

namespace keyshift::test {

struct Kind {
    const char* name;
    const char* key;
    const char* sql;
};
/// Joins outer and inner, UNION ALL, groups.
extern const Kind kKinds[4];

class Composite : public testing::Test {
protected:
    Composite();

    /// So many random writes; of one seed always the same.
    void change(unsigned seed, int times);
    static std::string shown(const std::string& from) { return "SELECT r::text FROM (" + from + ") r"; }
    /// Its rows over both nodes are those of its SELECT, which one node can answer here.
    void expect_exact(const Kind& kind);
    /// This generation of it does, and there are so many.
    bool serves(const std::string& name, int generation, int of);
    void rebuild(const Kind& kind, std::int64_t keep_seconds);
    void create(const Kind& kind) { cluster_.create(kind.name, kind.key, kind.sql); }
    bool are_live() { return cluster_.wait_until("SELECT bool_and(state = 'live') FROM keyshift.shown_projection"); }

    ProjectedCluster cluster_;
};

} // namespace keyshift::test

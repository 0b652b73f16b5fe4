#pragma once
/// What must hold once moves have ended, whatever was struck meanwhile. Each gives what is wrong, or "".

#include "tests/matrix/bank.hpp"
#include "tests/matrix/faulty_cluster.hpp"
#include "tests/matrix/topic_watch.hpp"

#include <string>

namespace keyshift::test {

/// INV-MOV-1, INV-MOV-2: that node alone takes writes to the bucket, the catalog names it, nothing is left behind.
std::string judge_nodes(const FaultyCluster& cluster, int bucket, int owner);
/// No acknowledged transfer lost or there twice; INV-CDC-2. While the bank is paused.
std::string judge_rows(const Bank& bank, TopicWatch& watch);

} // namespace keyshift::test

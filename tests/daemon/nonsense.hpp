#pragma once
/// What the program answers to nonsense.

#include "tests/support/process.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace keyshift::test {

/// On stderr what failed, why and what to do next; no data.
inline void expect_three_parts(const Finished& done, const std::string& what)
{
    EXPECT_THAT(done.err, testing::AllOf(testing::HasSubstr("error: "), testing::HasSubstr("\n  why:  "),
                                         testing::HasSubstr("\n  next: ")))
        << what;
    EXPECT_EQ(done.out, "") << what;
}

inline std::string joined(const std::vector<std::string>& arguments)
{
    std::string text;
    for (const std::string& argument : arguments) {
        text += (text.empty() ? "" : " ") + (argument.empty() ? "''" : argument);
    }
    return text;
}

} // namespace keyshift::test

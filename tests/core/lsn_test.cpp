#include "core/lsn.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace keyshift {
namespace {

TEST(Lsn, PrintsAsPostgresDoes)
{
    EXPECT_EQ((Lsn{0x16'B374D848}.to_string()), "16/B374D848");
    EXPECT_EQ(Lsn{}.to_string(), "0/0");
    EXPECT_EQ(Lsn{~0ULL}.to_string(), "FFFFFFFF/FFFFFFFF");
}

TEST(Lsn, RefusesWhatIsNoLsn)
{
    for (const char* text :
         {"", "/", "0", "0/", "/0", "0/0/0", "0/100000000", "100000000/0", "0x1/0", " 0/0", "0/0 ", "-1/0", "g/0"}) {
        EXPECT_EQ(Lsn::parse(text), std::nullopt) << text;
    }
    EXPECT_EQ(Lsn::parse("16/b374d848"), (Lsn{0x16'B374D848}));
}

RC_GTEST_PROP(LsnProperty, ReadsWhatItPrints, (std::uint64_t value))
{
    RC_ASSERT(Lsn::parse(Lsn{value}.to_string()) == Lsn{value});
}

} // namespace
} // namespace keyshift

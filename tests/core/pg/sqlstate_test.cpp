#include "core/pg/sqlstate.hpp"

#include <gtest/gtest.h>

namespace keyshift::pg {
namespace {

struct Row {
    const char* sqlstate;
    SqlClass expected;
};
constexpr Row kRows[] = {
    {"08000", SqlClass::transient}, {"08003", SqlClass::transient},      {"08006", SqlClass::transient},
    {"40001", SqlClass::transient}, {"40003", SqlClass::transient},      {"40P01", SqlClass::transient},
    {"53000", SqlClass::transient}, {"53100", SqlClass::transient},      {"53200", SqlClass::transient},
    {"53300", SqlClass::transient}, {"53400", SqlClass::transient},      {"57014", SqlClass::transient},
    {"57P01", SqlClass::transient}, {"57P02", SqlClass::transient},      {"57P03", SqlClass::transient},
    {"57P05", SqlClass::transient}, {"25P03", SqlClass::transient},      {"55P03", SqlClass::transient},
    {"55006", SqlClass::transient}, {"58000", SqlClass::transient},      {"58030", SqlClass::transient},
    {"XX000", SqlClass::transient}, {"28000", SqlClass::authentication}, {"28P01", SqlClass::authentication},
    {"22003", SqlClass::permanent}, {"22P02", SqlClass::permanent},      {"23503", SqlClass::permanent},
    {"23505", SqlClass::permanent}, {"25006", SqlClass::permanent},      {"25P02", SqlClass::permanent},
    {"3D000", SqlClass::permanent}, {"3F000", SqlClass::permanent},      {"42501", SqlClass::permanent},
    {"42601", SqlClass::permanent}, {"42703", SqlClass::permanent},      {"42704", SqlClass::permanent},
    {"42P01", SqlClass::permanent}, {"42P07", SqlClass::permanent},      {"55000", SqlClass::permanent},
    {"57P04", SqlClass::permanent}, {"58P01", SqlClass::permanent},      {"58P02", SqlClass::permanent},
    {"0A000", SqlClass::permanent}, {"KS001", SqlClass::permanent},      {"P0001", SqlClass::permanent},
    {"XX001", SqlClass::permanent}, {"XX002", SqlClass::permanent},
};

TEST(SqlState, EveryCodeHasItsClassAndAdvice)
{
    for (const Row& row : kRows) {
        EXPECT_EQ(classify(row.sqlstate), row.expected) << row.sqlstate;
        EXPECT_FALSE(advice(row.sqlstate).empty()) << row.sqlstate;
        if (row.expected == SqlClass::permanent) {
            EXPECT_EQ(advice(row.sqlstate).find("tried again"), std::string_view::npos) << row.sqlstate;
        }
    }
}

TEST(SqlState, AdviceOfOneCodeIsThatOfItsCause)
{
    EXPECT_NE(advice("42501").find("Grant"), std::string_view::npos);
    EXPECT_NE(advice("53100").find("disk"), std::string_view::npos);
    EXPECT_NE(advice("KS001").find("node"), std::string_view::npos);
}

} // namespace
} // namespace keyshift::pg

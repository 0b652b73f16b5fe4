#include "core/names.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace keyshift {
namespace {

TEST(Names, AreAlwaysQuotedWithDoubledQuotes)
{
    EXPECT_EQ(quote_identifier("users"), R"("users")");
    EXPECT_EQ(quote_identifier(R"(a"; DROP TABLE b; --)"), R"("a""; DROP TABLE b; --")");
    EXPECT_EQ((QualifiedName{"My Schema", "select"}.quoted()), R"("My Schema"."select")");
}

TEST(Names, LiteralsCannotBreakOut)
{
    EXPECT_EQ(quote_literal("it's"), "'it''s'");
    EXPECT_EQ(quote_literal(R"(\'; DROP)"), R"( E'\\''; DROP')");
    EXPECT_EQ(quote_literal(""), "''");
}

TEST(Names, AreReadAsTheUserTypesThem)
{
    EXPECT_EQ(QualifiedName::parse("Users"), (QualifiedName{"public", "users"}));
    EXPECT_EQ(QualifiedName::parse("shop.Users"), (QualifiedName{"shop", "users"}));
    EXPECT_EQ(QualifiedName::parse(R"("Odd "".name"."T.x")"), (QualifiedName{"Odd \".name", "T.x"}));
    EXPECT_EQ((QualifiedName{"a", "b"}.to_string()), "a.b");
}

TEST(Names, ListsAndAssignmentsAreReadAsTheUserTypesThem)
{
    EXPECT_EQ(parse_names(R"(A, b,"Odd, ""one")"), (std::vector<std::string>{"a", "b", R"(Odd, "one)"}));
    EXPECT_TRUE(parse_names("").empty());
    EXPECT_EQ(parse_assignment("Email=a=b, c"), std::pair(std::string("email"), std::string("a=b, c")));
    EXPECT_EQ(parse_assignment(R"("x=Y"=)"), std::pair(std::string("x=Y"), std::string()));
    EXPECT_FALSE(parse_assignment("email"));
    EXPECT_FALSE(parse_assignment("=text"));
}

RC_GTEST_PROP(NamesProperty, QuotedNamesAreReadBack, (const std::string& schema, const std::string& name))
{
    RC_PRE(!schema.empty() && !name.empty());
    const QualifiedName original{schema, name};
    RC_ASSERT(QualifiedName::parse(original.quoted()) == original);
}

} // namespace
} // namespace keyshift

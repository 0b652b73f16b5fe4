#include "core/names.hpp"

#include "core/error.hpp"

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

TEST(Names, ThatCanBeNoTablesAreRefused)
{
    for (const char* text : {"", ".", "..", "a.", ".a", "a.b.c", "\"\"", "\"\".a", "\"a", "a\"", "a.\"b", "\xff",
                             "\xc0\xaf", "\xed\xa0\x80", "\xe2\x82", "\xf5\x80\x80\x80"}) {
        EXPECT_THROW(QualifiedName::parse(text), Error) << text;
    }
    EXPECT_THROW(QualifiedName::parse(std::string_view("a\0b", 3)), Error);
    EXPECT_EQ(QualifiedName::parse("\"a.b\".c\xc3\xa9\xf0\x9f\x98\x80"),
              (QualifiedName{"a.b", "c\xc3\xa9\xf0\x9f\x98\x80"}));
    EXPECT_THROW(parse_names("a,,b"), Error);
    EXPECT_THROW(parse_names(",,"), Error);
    EXPECT_THROW(parse_names("a,A"), Error);
}

RC_GTEST_PROP(NamesProperty, QuotedNamesAreReadBack, ())
{
    const auto part = rc::gen::nonEmpty(rc::gen::container<std::string>(rc::gen::inRange<char>(1, 127)));
    const QualifiedName original{*part, *part};
    RC_ASSERT(QualifiedName::parse(original.quoted()) == original);
}

} // namespace
} // namespace keyshift

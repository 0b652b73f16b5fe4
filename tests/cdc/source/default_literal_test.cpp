#include "cdc/source/default_literal.hpp"

#include <gtest/gtest.h>

namespace keyshift::test {
namespace {

TEST(DefaultLiteral, IsTheValueOfAConstantAndNothingElse)
{
    struct Case {
        const char* expression;
        std::optional<std::string> value;
    };
    const Case cases[] = {
        {"0", "0"},
        {"1.50", "1.50"},
        {"true", "t"},
        {"false", "f"},
        {"'abc'::text", "abc"},
        {"'it''s'::text", "it's"},
        {"E'a\\\\b'::text", "a\\b"},
        {"'-1'::integer", "-1"},
        {"'{}'::jsonb", "{}"},
        {"'x'::character varying", "x"},
        {"'2020-01-01 00:00:00+00'::timestamp with time zone", "2020-01-01 00:00:00+00"},
        {"'happy'::public.\"Mood\"", "happy"},
        {"''::text", ""},
        {"NULL::text", std::nullopt},
        {"now()", std::nullopt},
        {"nextval('s'::regclass)", std::nullopt},
        {"('a'::text || 'b'::text)", std::nullopt},
        {"'a'::text || 'b'::text", std::nullopt},
        {"CURRENT_TIMESTAMP", std::nullopt},
        {"'unfinished", std::nullopt},
        {"", std::nullopt},
    };
    for (const Case& one : cases) {
        EXPECT_EQ(cdc::default_literal(one.expression), one.value) << one.expression;
    }
}

} // namespace
} // namespace keyshift::test

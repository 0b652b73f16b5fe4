#include "catalog/ddl_statement.hpp"

#include "catalog/definition_difference.hpp"
#include "core/error.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keyshift::catalog {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string refusal(const std::string& sql)
{
    try {
        read_ddl(sql);
    } catch (const RefusedError& error) {
        EXPECT_FALSE(error.parts().next.empty());
        return error.parts().why;
    }
    return "not refused";
}

TEST(DdlStatement, NamesItsTableInEveryForm)
{
    for (const char* sql :
         {"ALTER TABLE users ADD COLUMN age int;", "CREATE INDEX i ON public.users (name)", "TRUNCATE users",
          "ALTER TABLE public.users RENAME COLUMN a TO b", "COMMENT ON TABLE users IS 'x'",
          "COMMENT ON COLUMN users.name IS 'x'",
          "CREATE TRIGGER t BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION f()", "DROP TRIGGER t ON users",
          "CREATE POLICY p ON users USING (true)", "CREATE STATISTICS s ON a, b FROM users"}) {
        EXPECT_THAT(read_ddl(sql).tables, ElementsAre(QualifiedName{"public", "users"})) << sql;
    }
    EXPECT_THAT(read_ddl("DROP INDEX app.i, j").indexes,
                ElementsAre(QualifiedName{"app", "i"}, QualifiedName{"public", "j"}));
    EXPECT_THAT(read_ddl("TRUNCATE a, \"B\".\"C\"").tables,
                ElementsAre(QualifiedName{"public", "a"}, QualifiedName{"B", "C"}));
}

TEST(DdlStatement, SaysWhatMayTouchTheShardKey)
{
    const DdlStatement read =
        read_ddl("ALTER TABLE users DROP COLUMN a, ALTER COLUMN b TYPE bigint, ADD CONSTRAINT u UNIQUE (c, d), "
                 "ADD COLUMN e int UNIQUE REFERENCES posts, DROP CONSTRAINT users_pkey, ADD PRIMARY KEY (b, c)");
    EXPECT_THAT(read.dropped_columns, ElementsAre("a"));
    EXPECT_THAT(read.retyped_columns, ElementsAre("b"));
    EXPECT_THAT(read.dropped_constraints, ElementsAre("users_pkey"));
    EXPECT_TRUE(read.adds_primary_key);
    ASSERT_EQ(read.new_keys.size(), 3U);
    EXPECT_THAT(read.new_keys[0].columns, ElementsAre("c", "d"));
    EXPECT_THAT(read.new_keys[1].columns, ElementsAre("e"));
    EXPECT_EQ(read.new_keys[2].kind, "PRIMARY KEY");
    ASSERT_EQ(read.new_foreign_keys.size(), 1U);
    EXPECT_EQ(read.new_foreign_keys[0].referenced.to_string(), "public.posts");
    EXPECT_THAT(read_ddl("ALTER TABLE u ADD EXCLUDE USING gist (a WITH =, b WITH &&)").new_keys.at(0).columns,
                ElementsAre("a", "b"));
    EXPECT_THAT(read_ddl("CREATE UNIQUE INDEX i ON u (a, lower(b))").new_keys.at(0).columns, ElementsAre("a", ""));
}

TEST(DdlStatement, AnIndexKeepsItsNameAndWhatFollowsTheTable)
{
    const DdlStatement read =
        read_ddl("create unique index concurrently \"Odd\" on only_users(name) where name <> '' ; ");
    EXPECT_EQ(read.kind, DdlStatement::Kind::create_index);
    EXPECT_EQ(read.index, "Odd");
    EXPECT_EQ(read.index_tail, "only_users(name) where name <> ''");
    EXPECT_TRUE(read.unique);
}

TEST(DdlStatement, RefusesWhatItCannotDoEverywhereAndSaysWhatToDo)
{
    EXPECT_THAT(refusal("SELECT 1"), HasSubstr("no statement about the definition"));
    EXPECT_THAT(refusal("ALTER TABLE"), HasSubstr("^"));
    EXPECT_THAT(refusal("TRUNCATE a; TRUNCATE b"), HasSubstr("more than one"));
    EXPECT_THAT(refusal("ALTER TABLE users RENAME TO people"), HasSubstr("the topics"));
    EXPECT_THAT(refusal("DROP TABLE users"), HasSubstr("buckets"));
    EXPECT_THAT(refusal("CREATE INDEX ON users (name)"), HasSubstr("no name"));
    EXPECT_THAT(refusal("ALTER TABLE ONLY users ADD COLUMN a int"), HasSubstr("ONLY"));
    EXPECT_THAT(refusal("ALTER TABLE users DETACH PARTITION users_b1"), HasSubstr("Keyshift's own"));
    EXPECT_THAT(refusal("ALTER TABLE users REPLICA IDENTITY FULL"), HasSubstr("replica identity"));
    for (const char* column : {"n bigserial", "n int GENERATED ALWAYS AS IDENTITY", "n int DEFAULT nextval('s')"}) {
        EXPECT_THAT(refusal(std::string("ALTER TABLE users ADD COLUMN ") + column), HasSubstr("given twice")) << column;
    }
    EXPECT_THAT(refusal("ALTER TABLE users ALTER n SET DEFAULT nextval('s')"), HasSubstr("given twice"));
    EXPECT_THAT(refusal("ALTER TABLE users ALTER n ADD GENERATED ALWAYS AS IDENTITY"), HasSubstr("given twice"));
    EXPECT_EQ(refusal("ALTER TABLE users ALTER n SET DEFAULT 7"), "not refused");
    EXPECT_THAT(refusal("TRUNCATE users CASCADE"), HasSubstr("CASCADE"));
    EXPECT_THAT(refusal("COMMENT ON SCHEMA public IS 'x'"), HasSubstr("of which table"));
}

TEST(DefinitionDifference, NamesTheNodeThatLacksSomethingWithWhatMendsIt)
{
    DefinitionOnNode first{"n1", 15, {}};
    first.table.name = {"public", "users"};
    first.table.columns = {{.name = "id",
                            .type = "bigint",
                            .element_type = "",
                            .collation = "",
                            .not_null = true,
                            .default_expression = "",
                            .storage = "",
                            .sequence_options = ""}};
    DefinitionOnNode second = first;
    second.node = "n2";
    EXPECT_TRUE(differences(first, second).empty());
    ColumnDefinition age;
    age.name = "age";
    age.type = "integer";
    age.default_expression = "0";
    first.table.columns.push_back(age);
    const auto missing = differences(first, second);
    ASSERT_EQ(missing.size(), 1U);
    EXPECT_EQ(missing[0].object, "public.users on n2");
    EXPECT_EQ(missing[0].fix, "ALTER TABLE \"public\".\"users\" ADD COLUMN \"age\" integer DEFAULT 0;");
    EXPECT_EQ(differences(second, first).at(0).object, "public.users on n2") << "whoever is asked first";
    age.type = "bigint";
    age.not_null = true;
    second.table.columns.push_back(age);
    EXPECT_THAT(differences(first, second).at(0).fix, HasSubstr("TYPE integer"));
    EXPECT_THAT(differences(first, second).at(1).fix, HasSubstr("DROP NOT NULL"));
    second.table.columns.back() = first.table.columns.back();
    second.table.columns.back().default_expression = "(0)";
    EXPECT_EQ(differences(first, second).size(), 1U);
    second.major = 18;
    EXPECT_TRUE(differences(first, second).empty()) << "another version words expressions in another way";
}

} // namespace
} // namespace keyshift::catalog

/// What `table reference` refuses, before anything is touched.

#include "projections/reference/reference_command.hpp"
#include "tests/catalog/cluster.hpp"

#include "core/error.hpp"
#include "core/json.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keyshift::test {
namespace {

using ::testing::HasSubstr;

class ReferenceRefusals : public ::testing::Test {
protected:
    ReferenceRefusals()
    {
        for (const std::size_t node : {0U, 1U}) {
            cluster.add_database();
            cluster.add_node(node);
        }
        first = std::make_unique<pg::Connection>(cluster.connect(0));
        second = std::make_unique<pg::Connection>(cluster.connect(1));
    }

    std::string refusal(const std::string& table, std::optional<std::string> node = std::nullopt,
                        const std::string& decimal = "precise")
    {
        try {
            projections::make_reference(cluster.catalog(), {table, std::move(node), false, {.decimal = decimal}});
        } catch (const RefusedError& error) {
            return error.parts().why + " | " + error.parts().next;
        }
        return "accepted";
    }

    Cluster cluster;
    std::unique_ptr<pg::Connection> first;
    std::unique_ptr<pg::Connection> second;
};

TEST_F(ReferenceRefusals, NameWhatIsInTheWay)
{
    first->script(
        "CREATE TABLE public.keyless (a int); CREATE TABLE public.lazy (a int PRIMARY KEY DEFERRABLE); "
        "CREATE TABLE public.parts (a int PRIMARY KEY) PARTITION BY RANGE (a); CREATE UNLOGGED TABLE public.fast (a int PRIMARY KEY); "
        "CREATE TABLE public.place (a int PRIMARY KEY, p point); CREATE TABLE public.rates (a int PRIMARY KEY, r numeric); "
        "CREATE TABLE public.child (a int PRIMARY KEY, k int REFERENCES public.rates); "
        "CREATE TABLE public.forced (a int PRIMARY KEY); ALTER TABLE public.forced FORCE ROW LEVEL SECURITY; "
        "CREATE TABLE public.both (a int PRIMARY KEY); INSERT INTO public.both VALUES (1); CREATE TABLE public.twice (a int PRIMARY KEY)");
    second->script(
        "CREATE TABLE public.both (a int PRIMARY KEY); INSERT INTO public.both VALUES (2); CREATE TABLE public.twice (a int PRIMARY KEY)");
    EXPECT_THAT(refusal("nothing"), HasSubstr("no node has such a table"));
    EXPECT_THAT(refusal("keyless"), HasSubstr("ADD PRIMARY KEY"));
    EXPECT_THAT(refusal("lazy"), HasSubstr("deferrable"));
    EXPECT_THAT(refusal("parts"), HasSubstr("partitioned"));
    EXPECT_THAT(refusal("fast"), HasSubstr("SET LOGGED"));
    EXPECT_THAT(refusal("place"), HasSubstr("cannot be read back from its event"));
    EXPECT_THAT(refusal("rates", {}, "double"), HasSubstr("is rounded"));
    EXPECT_THAT(refusal("child"), HasSubstr("`keyshift table reference public.rates` first"));
    EXPECT_THAT(refusal("forced"), HasSubstr("NO FORCE ROW LEVEL SECURITY"));
    EXPECT_THAT(refusal("both"), HasSubstr("n1 and n2 both hold rows of it"));
    EXPECT_THAT(refusal("twice"), HasSubstr("--node n1"));
    EXPECT_EQ(one(*first, "SELECT count(*) FROM pg_publication_rel"), "0");
    EXPECT_EQ(one(*second, "SELECT count(*) FROM keyshift.local_reference"), "0");
    EXPECT_EQ(refusal("twice", "n2"), "accepted");
    EXPECT_EQ(sqlstate_of(*first, "INSERT INTO public.twice VALUES (1)"), "KS001");
    EXPECT_EQ(sqlstate_of(*second, "INSERT INTO public.twice VALUES (1)"), "");
    EXPECT_EQ(refusal("rates"), "accepted");
    EXPECT_EQ(refusal("child"), "accepted");
    EXPECT_EQ(refusal("rates"), "accepted") << "once more changes nothing";
}

TEST_F(ReferenceRefusals, ACopyHasWhatTheTableHasButItsTriggers)
{
    first->script(
        "CREATE FUNCTION public.shout() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; "
        "CREATE TABLE public.rates (a int PRIMARY KEY, b text COLLATE \"C\" DEFAULT 'x' CHECK (b <> ''), c serial UNIQUE, "
        "d int GENERATED ALWAYS AS (a + 1) STORED, up int REFERENCES public.rates); CREATE INDEX rates_b ON public.rates (lower(b)); "
        "CREATE TRIGGER shouting BEFORE INSERT ON public.rates FOR EACH ROW EXECUTE FUNCTION public.shout(); "
        "ALTER TABLE public.rates DISABLE TRIGGER shouting; COMMENT ON TRIGGER shouting ON public.rates IS 'loud'; "
        "COMMENT ON COLUMN public.rates.b IS 'bee'; GRANT SELECT ON public.rates TO PUBLIC; "
        "ALTER TABLE public.rates ENABLE ROW LEVEL SECURITY; CREATE POLICY all_of_it ON public.rates USING (true)");
    EXPECT_EQ(refusal("rates"), "accepted");
    const char* const parts =
        "SELECT string_agg(x, ' ' ORDER BY x) FROM (SELECT indexdef FROM pg_indexes WHERE tablename = 'rates' "
        "UNION ALL SELECT replace(pg_get_constraintdef(oid), ' DEFERRABLE', '') FROM pg_constraint WHERE conrelid = 'public.rates'::regclass "
        "UNION ALL SELECT relacl::text || relrowsecurity FROM pg_class WHERE relname = 'rates' "
        "UNION ALL SELECT col_description('public.rates'::regclass, 2) UNION ALL SELECT policyname || qual FROM pg_policies WHERE tablename = 'rates') p(x)";
    EXPECT_EQ(one(*first, parts), one(*second, parts));
    EXPECT_EQ(
        one(*second,
            "SELECT string_agg(tgname, ' ') FROM pg_trigger WHERE tgrelid = 'public.rates'::regclass AND NOT tgisinternal"),
        "keyshift_reject");
    EXPECT_EQ(
        one(*second,
            "SELECT condeferrable FROM pg_constraint WHERE conrelid = 'public.rates'::regclass AND contype = 'f'"),
        "t");
}

} // namespace
} // namespace keyshift::test

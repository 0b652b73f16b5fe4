#include "bench/workload.hpp"

namespace keyshift::bench {

Workload inserts()
{
    return {"inserts",
            "drain",
            "CREATE TABLE public.drain (user_id uuid, post_id uuid, content text, PRIMARY KEY (user_id, post_id))",
            R"(DO $$ BEGIN
    FOR i IN 1..{} LOOP
        INSERT INTO public.drain SELECT gen_random_uuid(), gen_random_uuid(), repeat('x', 64) FROM generate_series(1, 100);
        COMMIT;
    END LOOP; END $$)",
            100,
            100};
}

Workload mixed()
{
    return {"inserts, updates and deletes over 20 columns",
            "mixed",
            R"(CREATE TYPE public.mood AS ENUM ('calm', 'glad', 'sad');
CREATE TABLE public.mixed (
    id bigint PRIMARY KEY, account int, flag boolean, small smallint, amount numeric(18, 4), ratio double precision, share real,
    title varchar(80), body text, code char(8), born date, at time, made timestamp, seen timestamptz, ident uuid, doc jsonb,
    raw bytea, tags text[], feel public.mood, net inet))",
            R"(DO $$
DECLARE
    base bigint := coalesce((SELECT max(id) FROM public.mixed), 0);
    k bigint;
BEGIN
    FOR i IN 1..{} LOOP
        k := base + i * 5;
        INSERT INTO public.mixed SELECT k + g, g, g % 2 = 0, g, g * 1.2345 + i, i / 7.0, i / 3.0, 'title ' || i,
            repeat('body ', 12), 'c' || g, date '2020-01-01' + g, time '10:00:01.5', timestamp '2024-05-06 07:08:09.123456',
            timestamptz '2024-05-06 07:08:09.123456+00', gen_random_uuid(), jsonb_build_object('a', i, 'b', 'text'),
            '\x0102030405', ARRAY['x', 'y' || g], 'glad', '10.0.0.1' FROM generate_series(0, 4) g;
        UPDATE public.mixed SET amount = amount + 1, body = 'changed ' || i WHERE id IN (k, k + 1, k + 2);
        DELETE FROM public.mixed WHERE id IN (k + 3, k + 4);
        COMMIT;
    END LOOP;
END $$)",
            10,
            12};
}

} // namespace keyshift::bench

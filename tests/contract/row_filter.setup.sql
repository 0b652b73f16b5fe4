-- A row filter in both publications: an update may put a row in or out, and is an insert or a delete then.
CREATE TABLE public.f_key (id int PRIMARY KEY, v text);
CREATE TABLE public.f_full (id int PRIMARY KEY, level text, v text);
ALTER TABLE public.f_full REPLICA IDENTITY FULL;
CREATE PUBLICATION oracle FOR TABLE public.f_key WHERE (id > 10), public.f_full WHERE (level <> 'debug');

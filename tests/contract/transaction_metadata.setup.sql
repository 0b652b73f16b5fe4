-- Transaction metadata: every kind of event, several tables, messages, savepoints.
CREATE TABLE public.x_one (id int PRIMARY KEY, v text);
CREATE TABLE public.x_two (id int PRIMARY KEY, v text);
CREATE TABLE public.x_keyless (v text);
ALTER TABLE public.x_keyless REPLICA IDENTITY FULL;

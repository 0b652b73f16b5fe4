-- Logical messages, in transactions and between them, beside rows.
CREATE TABLE public.m_rows (id int PRIMARY KEY, v text);
CREATE TABLE public.m_keyless (v text);
ALTER TABLE public.m_keyless REPLICA IDENTITY FULL;

#pragma once
/// What a test asks a node after a move.

namespace keyshift::test {

/// Everything of moves that may be left: staging tables, triggers on open leaves, progress, options; "": nothing.
inline constexpr const char* kLeftovers = R"(SELECT coalesce(string_agg(what, ', '), '') FROM (
        SELECT 'table ' || c.relname AS what FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relname LIKE 'stage\_%' OR (n.nspname = 'public' AND c.relname LIKE '%stage%')
        UNION ALL SELECT 'progress of move ' || move FROM keyshift.move_progress
        UNION ALL SELECT 'constraint on ' || conrelid::regclass::text FROM pg_constraint WHERE conname = 'keyshift_bucket'
        UNION ALL SELECT 'options of ' || oid::regclass::text FROM pg_class WHERE relkind = 'r' AND array_to_string(reloptions, ',') LIKE '%autovacuum%'
        UNION ALL SELECT 'trigger on ' || t.tgrelid::regclass::text || ' ' || t.tgenabled::text FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
            JOIN keyshift.local_bucket b ON c.relname LIKE '%\_b' || b.bucket WHERE t.tgname LIKE 'keyshift_reject%' AND b.state = 'open') x)";

/// Names, definitions, triggers and constraints of every leaf, and what the node knows of its buckets.
inline constexpr const char* kFingerprint = R"(SELECT string_agg(line, E'\n' ORDER BY line) FROM (
        SELECT c.relname || ' ' || coalesce(pg_get_expr(c.relpartbound, c.oid), '') || ' ' || c.relreplident::text || ' ' || c.relispartition::text AS line
            FROM pg_class c WHERE c.relname ~ '_b[0-9]+$' AND c.relkind = 'r'
        UNION ALL SELECT conrelid::regclass::text || ' ' || conname || ' ' || pg_get_constraintdef(k.oid) || ' ' || convalidated::text FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid WHERE c.relname ~ '_b[0-9]+$'
        UNION ALL SELECT pg_get_indexdef(indexrelid) || (SELECT count(*)::text FROM pg_inherits WHERE inhrelid = indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid WHERE c.relname ~ '_b[0-9]+$'
        UNION ALL SELECT pg_get_triggerdef(t.oid) || ' ' || t.tgenabled::text FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE c.relname ~ '_b[0-9]+$' AND NOT t.tgisinternal
        UNION ALL SELECT 'bucket ' || bucket || ' ' || state || ' ' || epoch || ' ' || coalesce(move::text, '') FROM keyshift.local_bucket
        UNION ALL SELECT 'placement ' || bucket || ' ' || node || ' ' || epoch FROM keyshift.local_placement) x)";

} // namespace keyshift::test

INSERT INTO tx_a SELECT i, 'v' || i FROM generate_series(1, 10) i;
INSERT INTO tx_b SELECT i, i, 'w' || i FROM generate_series(1, 10) i;
BEGIN;
UPDATE tx_a SET v = 'x' WHERE id = 1;
SAVEPOINT one;
UPDATE tx_a SET v = 'lost' WHERE id = 1;
INSERT INTO tx_b VALUES (20, 1, 'lost');
SAVEPOINT two;
DELETE FROM tx_b WHERE id = 1;
ROLLBACK TO two;
RELEASE two;
ROLLBACK TO one;
INSERT INTO tx_b VALUES (21, 1, 'kept');
SAVEPOINT three;
UPDATE tx_b SET v = 'kept too' WHERE id = 21;
RELEASE three;
COMMIT;
BEGIN;
DELETE FROM tx_a;
ROLLBACK;
UPDATE tx_a SET id = 100 WHERE id = 10;
DELETE FROM tx_a WHERE id = 9;
INSERT INTO tx_a VALUES (8, 'conflict') ON CONFLICT (id) DO UPDATE SET v = 'upserted';
INSERT INTO tx_a VALUES (8, 'conflict') ON CONFLICT DO NOTHING;
WITH gone AS (DELETE FROM tx_b WHERE id IN (2, 3) RETURNING *) INSERT INTO tx_b SELECT id + 1000, a, v FROM gone;
COPY tx_a FROM STDIN;
200	copied
201	copied\ttoo
202	\N
\.
DO $$ BEGIN FOR i IN 300..310 LOOP BEGIN INSERT INTO tx_a VALUES (i, 'sub'); IF i % 2 = 0 THEN RAISE EXCEPTION 'no'; END IF; EXCEPTION WHEN raise_exception THEN NULL; END; END LOOP; END $$;
BEGIN; UPDATE tx_a SET v = 'prepared' WHERE id = 2; PREPARE TRANSACTION 'contract_transactions'; COMMIT PREPARED 'contract_transactions';
UPDATE tx_a SET v = v;

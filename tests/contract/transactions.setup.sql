-- Transactions: savepoints, rollbacks, several tables in one, COPY, multi-row statements, CTEs that write, triggers, upserts.
CREATE TABLE tx_a (id int PRIMARY KEY, v text);
CREATE TABLE tx_b (id int PRIMARY KEY, a int REFERENCES tx_a ON DELETE CASCADE ON UPDATE CASCADE, v text);
CREATE TABLE tx_log (n int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, what text);
CREATE FUNCTION tx_note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO tx_log (what) VALUES (TG_OP || ' ' || NEW.id); RETURN NEW; END $$;
CREATE TRIGGER tx_a_note AFTER INSERT OR UPDATE ON tx_a FOR EACH ROW EXECUTE FUNCTION tx_note();

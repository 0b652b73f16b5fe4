UPDATE sn_rows SET t = 'later' WHERE id = 1;
INSERT INTO sn_rows VALUES (100, 'new');
DELETE FROM sn_rows WHERE id = 2;

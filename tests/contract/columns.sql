INSERT INTO public.c_masked VALUES (1, 'some text é xyz', 'nn', 'bare', 'abcde', 'abcdef', 'domain', 'happy', 'variable char', 5);
INSERT INTO public.c_masked (id, bare) VALUES (2, '');
INSERT INTO public.c_masked (id, t, bare, v, c, vb) VALUES (3, '', 'é😀', '', '', '');
INSERT INTO public.c_masked (id, t, bare, v, c) VALUES (4, 'é😀', 'b', 'é😀', 'é');
UPDATE public.c_masked SET t = NULL WHERE id = 1;
UPDATE public.c_masked SET id = 9 WHERE id = 1;
DELETE FROM public.c_masked;

INSERT INTO public.c_emptied VALUES (1, 'some text é xyz', 'nn', 'bare', 'abcde', 'abcdef', 'domain', 'happy', 'variable char', 5);
INSERT INTO public.c_emptied (id, bare) VALUES (2, '');
INSERT INTO public.c_emptied (id, t, bare, v, c, vb) VALUES (3, '', 'é😀', '', '', '');
INSERT INTO public.c_emptied (id, t, bare, v, c) VALUES (4, 'é😀', 'b', 'é😀', 'é');
UPDATE public.c_emptied SET t = NULL WHERE id = 1;
UPDATE public.c_emptied SET id = 9 WHERE id = 1;
DELETE FROM public.c_emptied;

INSERT INTO public.c_hashed VALUES (1, 'some text é xyz', 'nn', 'bare', 'abcde', 'abcdef', 'domain', 'happy', 'variable char', 5);
INSERT INTO public.c_hashed (id, bare) VALUES (2, '');
INSERT INTO public.c_hashed (id, t, bare, v, c, vb) VALUES (3, '', 'é😀', '', '', '');
INSERT INTO public.c_hashed (id, t, bare, v, c) VALUES (4, 'é😀', 'b', 'é😀', 'é');
UPDATE public.c_hashed SET t = NULL WHERE id = 1;
UPDATE public.c_hashed SET id = 9 WHERE id = 1;
DELETE FROM public.c_hashed;

INSERT INTO public.c_cut VALUES (1, 'some text é xyz', 'nn', 'bare', 'abcde', 'abcdef', 'domain', 'happy', 'variable char', 5, 'CiTextual', '\x0102030405', '\x01');
INSERT INTO public.c_cut (id, bare, br) VALUES (2, '', '');
INSERT INTO public.c_cut (id, t, required, bare, v, c, vb, br) VALUES (3, '', 'longer than that', 'ééééé', 'éé', '', '', '\x0102030405');
UPDATE public.c_cut SET t = NULL WHERE id = 1;
UPDATE public.c_cut SET id = 9 WHERE id = 1;
DELETE FROM public.c_cut;

INSERT INTO public.c_left_out VALUES (1, 'a', 'b', 3);
UPDATE public.c_left_out SET c = 4;
UPDATE public.c_left_out SET a = 'hidden';
UPDATE public.c_left_out SET id = 2;
DELETE FROM public.c_left_out;

INSERT INTO public.c_shown VALUES (1, 'a', 'b', 3);
UPDATE public.c_shown SET c = 4;
UPDATE public.c_shown SET a = 'hidden';
UPDATE public.c_shown SET id = 2;
DELETE FROM public.c_shown;

INSERT INTO public.c_full VALUES (1, 'aaaaaaaaaa', 'bbbbbbbbbb', 'cccccccccc', 'e');
UPDATE public.c_full SET e = 'f';
UPDATE public.c_full SET id = 2, a = 'zzzzzzzzzzzzz';
UPDATE public.c_full SET b = NULL, c = NULL;
DELETE FROM public.c_full;
INSERT INTO public.c_keyless VALUES ('aaaa', 'bbbb', 'cccc');
UPDATE public.c_keyless SET a = 'x';
DELETE FROM public.c_keyless;

INSERT INTO public.c_toast VALUES (1, repeat('a', 9000), repeat('b', 9000), repeat('c', 9000), decode(repeat('0d', 9000), 'hex'), 'e');
UPDATE public.c_toast SET e = 'f';
UPDATE public.c_toast SET id = 2;
UPDATE public.c_toast SET a = repeat('x', 9000), b = repeat('y', 9000), c = repeat('z', 9000);
DELETE FROM public.c_toast;

INSERT INTO public.c_toast_full VALUES (1, repeat('a', 9000), repeat('b', 9000), repeat('c', 9000), decode(repeat('0d', 9000), 'hex'), 'e');
UPDATE public.c_toast_full SET e = 'f';
UPDATE public.c_toast_full SET id = 2;
UPDATE public.c_toast_full SET a = repeat('x', 9000), b = repeat('y', 9000), c = repeat('z', 9000);
DELETE FROM public.c_toast_full;

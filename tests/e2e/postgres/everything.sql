-- Every kind of object that a database can have.  psql -d DATABASE, after
-- globals.sql; the extension hf_config is the tests' own.
SELECT current_setting('server_version_num')::int >= 140000 AS v14,
  current_setting('server_version_num')::int >= 150000 AS v15,
  current_setting('server_version_num')::int >= 170000 AS v17 \gset
SET client_min_messages = warning;
SET check_function_bodies = off;

-- ---- schemas, extensions ----
CREATE SCHEMA sales AUTHORIZATION hf_owner;
CREATE SCHEMA "Größe 日本 🐘";
CREATE SCHEMA "a b";
CREATE SCHEMA ext;
CREATE SCHEMA empty;
COMMENT ON SCHEMA sales IS 'what''s sold \ 100%';
GRANT USAGE ON SCHEMA sales TO hf_reader;
GRANT USAGE, CREATE ON SCHEMA sales TO hf_writer WITH GRANT OPTION;
CREATE EXTENSION hstore SCHEMA ext;
CREATE EXTENSION btree_gist SCHEMA ext;
CREATE EXTENSION pg_trgm;
CREATE EXTENSION citext SCHEMA ext;
CREATE EXTENSION file_fdw;
CREATE EXTENSION postgres_fdw;
CREATE EXTENSION hf_config SCHEMA "a b";
COMMENT ON EXTENSION hstore IS 'changed by hand';
INSERT INTO "a b".setting VALUES ('mine', E'a value\nof two lines', false),
  ('other', NULL, false);
INSERT INTO "a b".setting_of VALUES (1, 'mine'), (2, 'other'), (3, 'mine');
SELECT setval('"a b".setting_number', 4711);
GRANT SELECT ON "a b".setting TO hf_reader;

-- ---- types ----
CREATE TYPE sales.mood AS ENUM ('sad', 'o''k', 'happy', 'Übermütig', '');
ALTER TYPE sales.mood ADD VALUE 'before' BEFORE 'o''k';
CREATE DOMAIN sales.price AS numeric(12, 2) DEFAULT 0 NOT NULL
  CONSTRAINT positive CHECK (VALUE >= 0);
CREATE DOMAIN sales.prices AS sales.price[];
CREATE DOMAIN sales.late AS text;
ALTER DOMAIN sales.late ADD CONSTRAINT later CHECK (VALUE <> 'no') NOT VALID;
CREATE TYPE sales.address AS (street text, "zip code" varchar(10), at point);
CREATE TYPE sales.pair AS (a sales.address, b sales.mood[]);
CREATE FUNCTION sales.floatdiff(float8, float8) RETURNS float8
  LANGUAGE sql IMMUTABLE STRICT AS 'SELECT $1 - $2';
CREATE TYPE sales.floatrange AS RANGE (subtype = float8,
  subtype_diff = sales.floatdiff);
CREATE COLLATION sales.posix (locale = 'C');
SELECT count(*) > 0 AS icu FROM pg_collation
  WHERE collname = 'und-x-icu' \gset
\if :icu
CREATE COLLATION sales."nocase" (provider = icu, locale = 'und-u-ks-level2',
  deterministic = false);
CREATE TABLE sales.icu (name text COLLATE sales."nocase" PRIMARY KEY,
  german text COLLATE "de-x-icu");
INSERT INTO sales.icu VALUES ('Straße', 'Öl'), ('abc', 'Zebra'), ('ÄBC', NULL);
\endif
COMMENT ON TYPE sales.mood IS 'how it is';
COMMENT ON DOMAIN sales.price IS 'never negative';
COMMENT ON CONSTRAINT positive ON DOMAIN sales.price IS 'see above';
COMMENT ON COLUMN sales.address."zip code" IS 'of the street';
ALTER TYPE sales.mood OWNER TO hf_owner;
GRANT USAGE ON TYPE sales.address TO hf_writer;
REVOKE USAGE ON DOMAIN sales.price FROM PUBLIC;
GRANT USAGE ON DOMAIN sales.price TO hf_owner, hf_reader;
-- A base type of its own, from the functions of text.
CREATE TYPE sales.mytext;
CREATE FUNCTION sales.mytext_in(cstring) RETURNS sales.mytext
  LANGUAGE internal IMMUTABLE STRICT AS 'textin';
CREATE FUNCTION sales.mytext_out(sales.mytext) RETURNS cstring
  LANGUAGE internal IMMUTABLE STRICT AS 'textout';
CREATE TYPE sales.mytext (INPUT = sales.mytext_in, OUTPUT = sales.mytext_out,
  INTERNALLENGTH = variable, ALIGNMENT = int4, STORAGE = extended,
  COLLATABLE = true);
CREATE TYPE sales.undefined;

-- ---- functions, operators, casts, aggregates, transforms ----
CREATE FUNCTION sales.atomic(a integer, b text DEFAULT E'x\\y''z')
  RETURNS text LANGUAGE plpgsql STABLE PARALLEL SAFE COST 42
  SET search_path = sales, "a b", pg_temp
  AS $body$ BEGIN RETURN a || $$;$$ || b; /* \. */ END $body$;
\if :v14
CREATE FUNCTION sales.body(a integer) RETURNS bigint LANGUAGE sql IMMUTABLE
  BEGIN ATOMIC
    SELECT CASE WHEN a > 0 THEN a * 2::bigint ELSE 0 END;
  END;
CREATE PROCEDURE sales.many(INOUT n integer, OUT twice bigint) LANGUAGE sql
  BEGIN ATOMIC
    SELECT n + 1, sales.body(n);
  END;
\endif
CREATE PROCEDURE sales.work(VARIADIC names text[]) LANGUAGE plpgsql
  SECURITY DEFINER AS 'BEGIN NULL; END';
CREATE FUNCTION sales.rows(OUT a integer, OUT b text) RETURNS SETOF record
  LANGUAGE sql ROWS 7 AS 'SELECT 1, ''x''';
CREATE FUNCTION sales."odd;name""$"(integer) RETURNS integer LANGUAGE sql
  AS 'SELECT $1';
CREATE FUNCTION sales.same(sales.mytext, sales.mytext) RETURNS boolean
  LANGUAGE internal IMMUTABLE STRICT AS 'texteq';
CREATE OPERATOR sales.=== (LEFTARG = sales.mytext, RIGHTARG = sales.mytext,
  FUNCTION = sales.same, COMMUTATOR = OPERATOR(sales.===), HASHES);
CREATE FUNCTION sales.mytext_hash(sales.mytext) RETURNS integer
  LANGUAGE internal IMMUTABLE STRICT AS 'hashtext';
CREATE OPERATOR FAMILY sales.mytext_family USING hash;
CREATE OPERATOR CLASS sales.mytext_ops DEFAULT FOR TYPE sales.mytext
  USING hash FAMILY sales.mytext_family AS
  OPERATOR 1 sales.===, FUNCTION 1 sales.mytext_hash(sales.mytext);
CREATE CAST (sales.mytext AS text) WITHOUT FUNCTION AS IMPLICIT;
CREATE CAST (text AS sales.mytext) WITHOUT FUNCTION AS ASSIGNMENT;
CREATE CAST (sales.address AS sales.mytext) WITH INOUT;
CREATE AGGREGATE sales.joined(text, text) (SFUNC = string_agg_transfn,
  STYPE = internal, FINALFUNC = string_agg_finalfn);
CREATE AGGREGATE sales.total(integer) (SFUNC = int4pl, STYPE = integer,
  INITCOND = '0', MSFUNC = int4pl, MINVFUNC = int4mi, MSTYPE = integer,
  MINITCOND = '0', PARALLEL = SAFE, COMBINEFUNC = int4pl);
CREATE FUNCTION sales.from_sql(internal) RETURNS internal
  LANGUAGE internal IMMUTABLE AS 'numeric_avg_deserialize';
CREATE FUNCTION sales.varchar_transform(internal) RETURNS internal
  LANGUAGE internal AS 'varchar_support';
CREATE TRANSFORM FOR integer LANGUAGE sql
  (FROM SQL WITH FUNCTION varchar_support(internal));
COMMENT ON FUNCTION sales.atomic(integer, text) IS 'a body''s';
COMMENT ON AGGREGATE sales.total(integer) IS 'sum';
COMMENT ON OPERATOR sales.=== (sales.mytext, sales.mytext) IS 'equal';
COMMENT ON CAST (sales.mytext AS text) IS 'for free';
COMMENT ON OPERATOR CLASS sales.mytext_ops USING hash IS 'one';
REVOKE EXECUTE ON FUNCTION sales.atomic(integer, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sales.atomic(integer, text) TO hf_writer;
ALTER FUNCTION sales.atomic(integer, text) OWNER TO hf_owner;
ALTER PROCEDURE sales.work(text[]) OWNER TO hf_owner;

-- ---- text search ----
CREATE TEXT SEARCH DICTIONARY sales.plain (TEMPLATE = pg_catalog.simple,
  STOPWORDS = english);
CREATE TEXT SEARCH CONFIGURATION sales.search (COPY = pg_catalog.german);
ALTER TEXT SEARCH CONFIGURATION sales.search
  ALTER MAPPING FOR asciiword WITH sales.plain, german_stem;
CREATE TEXT SEARCH PARSER sales.parser (START = prsd_start,
  GETTOKEN = prsd_nexttoken, END = prsd_end, LEXTYPES = prsd_lextype);
CREATE TEXT SEARCH TEMPLATE sales.template (INIT = dsimple_init,
  LEXIZE = dsimple_lexize);
COMMENT ON TEXT SEARCH CONFIGURATION sales.search IS 'German, mostly';

-- ---- sequences ----
CREATE SEQUENCE sales.untouched START 100 INCREMENT 5;
CREATE SEQUENCE sales.down AS smallint INCREMENT -3 MINVALUE -30000
  MAXVALUE 0 START 0 CYCLE CACHE 1;
SELECT nextval('sales.down'), nextval('sales.down'), nextval('sales.down');
CREATE SEQUENCE sales."not Called";
SELECT setval('sales."not Called"', 42, false);
CREATE SEQUENCE sales.large MAXVALUE 9223372036854775807;
SELECT setval('sales.large', 9223372036854775807);
GRANT USAGE ON SEQUENCE sales.large TO hf_writer;
ALTER SEQUENCE sales.large OWNER TO hf_owner;

-- ---- ordinary tables ----
CREATE TABLE sales.customer (
  id bigint GENERATED ALWAYS AS IDENTITY (START WITH 7 INCREMENT BY 3)
    PRIMARY KEY,
  name text NOT NULL COLLATE "C" DEFAULT 'it''s ' || E'\\',
  email ext.citext UNIQUE,
  mood sales.mood DEFAULT 'happy',
  credit sales.price,
  home sales.address,
  attributes ext.hstore,
  shout text GENERATED ALWAYS AS (upper(name)) STORED,
  gone_1 integer,
  gone_2 text DEFAULT 'gone',
  CONSTRAINT "name is not 'x'" CHECK (name <> 'x')
) WITH (fillfactor = 70, autovacuum_enabled = false);
INSERT INTO sales.customer (name, email, mood, credit, home, attributes)
  SELECT 'name ' || i, 'Mail' || i || '@Example.org',
    (enum_range(NULL::sales.mood))[1 + i % 6], i / 7.0,
    ROW('street ' || i, 'z' || i, point(i, -i))::sales.address,
    format('a=>%s, "b c"=>NULL, "d\"e"=>"f=>g"', i)::ext.hstore
  FROM generate_series(1, 3000) i;
ALTER TABLE sales.customer DROP COLUMN gone_1, DROP COLUMN gone_2;
ALTER TABLE sales.customer ADD COLUMN added text DEFAULT 'since later';
ALTER TABLE sales.customer ALTER name SET STATISTICS 500,
  ALTER name SET (n_distinct = -0.5), ALTER home SET STORAGE EXTERNAL;
CREATE INDEX customer_lower ON sales.customer (lower(name) DESC NULLS LAST)
  INCLUDE (credit) WHERE credit > 5;
CREATE INDEX customer_trgm ON sales.customer USING gin (name gin_trgm_ops);
CREATE INDEX customer_space ON sales.customer (credit) TABLESPACE hf_space;
CREATE INDEX "odd index's ""name""" ON sales.customer USING brin (id)
  WITH (pages_per_range = 16);
ALTER INDEX sales.customer_lower ALTER COLUMN 1 SET STATISTICS 77;
ALTER TABLE sales.customer CLUSTER ON customer_pkey;
ALTER TABLE sales.customer REPLICA IDENTITY USING INDEX customer_pkey;
ALTER TABLE sales.customer OWNER TO hf_owner;
COMMENT ON TABLE sales.customer IS E'who buys; it''s \\ "quoted"\nand long';
COMMENT ON COLUMN sales.customer.name IS 'of the customer';
COMMENT ON INDEX sales.customer_lower IS 'for searching';
COMMENT ON CONSTRAINT "name is not 'x'" ON sales.customer IS 'no x';
GRANT SELECT ON sales.customer TO hf_reader;
GRANT SELECT (id, name), UPDATE (name) ON sales.customer TO hf_writer
  WITH GRANT OPTION;
GRANT INSERT, DELETE ON sales.customer TO "Rôle ""with"" 'all' \ of.it/100%";
CREATE STATISTICS sales.correlated (ndistinct, dependencies, mcv)
  ON name, credit FROM sales.customer;
\if :v14
CREATE STATISTICS sales.expression ON (lower(name)), mood FROM sales.customer;
\endif
ALTER STATISTICS sales.correlated SET STATISTICS 55;
COMMENT ON STATISTICS sales.correlated IS 'they go together';

CREATE TABLE sales.orders (
  id integer GENERATED BY DEFAULT AS IDENTITY,
  customer bigint,
  parent integer,
  placed timestamptz NOT NULL DEFAULT now(),
  amount numeric CHECK (amount > 0) NO INHERIT,
  PRIMARY KEY (id),
  CONSTRAINT buyer FOREIGN KEY (customer) REFERENCES sales.customer (id)
    ON DELETE CASCADE ON UPDATE SET NULL DEFERRABLE INITIALLY DEFERRED,
  CONSTRAINT own_tree FOREIGN KEY (parent) REFERENCES sales.orders
) TABLESPACE hf_space;
INSERT INTO sales.orders (customer, parent, placed, amount)
  SELECT 7 + 3 * (i % 3000), CASE WHEN i > 10 THEN i - 10 END,
    '2026-01-01 00:00:00.123456+00'::timestamptz + i * '1 h'::interval,
    i * 1.000000001
  FROM generate_series(1, 20000) i;
ALTER TABLE sales.orders ALTER id RESTART WITH 50001;
ALTER TABLE sales.orders ADD CONSTRAINT not_valid CHECK (amount > 10) NOT VALID;
ALTER TABLE sales.orders ADD CONSTRAINT fk_not_valid
  FOREIGN KEY (parent) REFERENCES sales.orders NOT VALID;
CREATE UNIQUE INDEX orders_by_time ON sales.orders (placed, id);
ALTER TABLE sales.orders ADD CONSTRAINT by_time UNIQUE
  USING INDEX orders_by_time DEFERRABLE;
-- Two tables whose foreign keys go round.
CREATE TABLE sales.hen (id integer PRIMARY KEY, egg integer);
CREATE TABLE sales.egg (id integer PRIMARY KEY,
  hen integer REFERENCES sales.hen);
INSERT INTO sales.hen SELECT i, i FROM generate_series(1, 50) i;
INSERT INTO sales.egg SELECT i, 51 - i FROM generate_series(1, 50) i;
ALTER TABLE sales.hen ADD CONSTRAINT hatched FOREIGN KEY (egg)
  REFERENCES sales.egg DEFERRABLE;
CREATE TABLE sales.booking (room integer, during tstzrange,
  EXCLUDE USING gist (room WITH =, during WITH &&) WHERE (room > 0));
INSERT INTO sales.booking SELECT i % 5,
  tstzrange('2026-01-01'::timestamptz + i * '1 day'::interval,
    '2026-01-02'::timestamptz + i * '1 day'::interval)
  FROM generate_series(1, 100) i;
CREATE TABLE sales.serials (a smallserial, b serial, c bigserial, d text);
INSERT INTO sales.serials (d) SELECT 'd' || i FROM generate_series(1, 10) i;
CREATE UNLOGGED TABLE sales.unlogged (a integer PRIMARY KEY, b text);
INSERT INTO sales.unlogged SELECT i, 'b' || i FROM generate_series(1, 100) i;
CREATE TABLE sales.nothing ();
INSERT INTO sales.nothing DEFAULT VALUES;
INSERT INTO sales.nothing DEFAULT VALUES;
INSERT INTO sales.nothing DEFAULT VALUES;
CREATE TABLE sales.no_rows (a integer, b text);
CREATE TABLE sales.all_dropped (a integer, b text);
INSERT INTO sales.all_dropped VALUES (1, 'x'), (2, 'y');
ALTER TABLE sales.all_dropped DROP COLUMN a, DROP COLUMN b;
CREATE TABLE sales.only_generated
  (a integer GENERATED ALWAYS AS (1 + 1) STORED);
INSERT INTO sales.only_generated DEFAULT VALUES;
INSERT INTO sales.only_generated DEFAULT VALUES;
CREATE TABLE sales.typed OF sales.address (street NOT NULL);
INSERT INTO sales.typed VALUES ('s', 'z', '(1,2)');
\if :v15
CREATE TABLE sales.nulls (a integer, UNIQUE NULLS NOT DISTINCT (a));
INSERT INTO sales.nulls VALUES (1), (NULL);
\endif

-- ---- partitions, inheritance ----
CREATE TABLE sales.event (day date NOT NULL, kind text, n integer,
  note text DEFAULT 'parent''s') PARTITION BY RANGE (day);
CREATE TABLE sales.event_2025 PARTITION OF sales.event
  FOR VALUES FROM (MINVALUE) TO ('2026-01-01') PARTITION BY LIST (kind);
CREATE TABLE sales.event_2025_a PARTITION OF sales.event_2025
  FOR VALUES IN ('a', 'it''s', NULL);
CREATE TABLE sales.event_2025_rest PARTITION OF sales.event_2025 DEFAULT;
CREATE TABLE sales.event_2026 (note text DEFAULT 'own', gone integer,
  n integer, kind text, day date NOT NULL);
ALTER TABLE sales.event_2026 DROP COLUMN gone;
ALTER TABLE sales.event ATTACH PARTITION sales.event_2026
  FOR VALUES FROM ('2026-01-01') TO (MAXVALUE);
INSERT INTO sales.event (day, kind, n) SELECT date '2025-06-01' + i,
  (ARRAY['a', 'b', 'it''s', NULL])[1 + i % 4], i
  FROM generate_series(1, 400) i;
CREATE INDEX event_n ON sales.event (n);
CREATE UNIQUE INDEX event_2026_key ON sales.event_2026 (day, kind, n);
ALTER TABLE sales.event ADD CONSTRAINT counted CHECK (n > 0);
CREATE TABLE sales.hashed (mood sales.mood, n integer, PRIMARY KEY (mood, n))
  PARTITION BY HASH (mood);
CREATE TABLE sales.hashed_0 PARTITION OF sales.hashed
  FOR VALUES WITH (MODULUS 3, REMAINDER 0);
CREATE TABLE sales.hashed_1 PARTITION OF sales.hashed
  FOR VALUES WITH (MODULUS 3, REMAINDER 1) TABLESPACE hf_space;
CREATE TABLE sales.hashed_2 PARTITION OF sales.hashed
  FOR VALUES WITH (MODULUS 3, REMAINDER 2);
INSERT INTO sales.hashed
  SELECT m, i FROM unnest(enum_range(NULL::sales.mood)) m,
    generate_series(1, 50) i;
CREATE TABLE sales.refers (mood sales.mood, n integer,
  FOREIGN KEY (mood, n) REFERENCES sales.hashed);
INSERT INTO sales.refers SELECT * FROM sales.hashed WHERE n < 10;
ALTER TABLE sales.hashed OWNER TO hf_owner;
CREATE TABLE sales.mother (a integer NOT NULL, b text, CHECK (a > 0));
CREATE TABLE sales.father (c integer DEFAULT 3, b text);
CREATE TABLE sales.child (d integer) INHERITS (sales.mother, sales.father);
ALTER TABLE sales.child ALTER c SET DEFAULT 33;
INSERT INTO sales.mother SELECT i, 'm' FROM generate_series(1, 10) i;
INSERT INTO sales.father SELECT i, 'f' FROM generate_series(1, 10) i;
INSERT INTO sales.child SELECT i, 'c', i, i FROM generate_series(1, 10) i;

-- ---- values ----
CREATE TABLE sales.value (id integer PRIMARY KEY, t text, c char(5),
  v varchar, n numeric, r real, d double precision, b bytea, x xml, j json,
  jb jsonb, jp jsonpath, ts timestamp, tz timestamptz, da date, ti time,
  tt timetz, iv interval, ia integer[], ta text[], ad sales.address,
  pr sales.pair, fr sales.floatrange, ir int4range, nr numrange, tv tsvector,
  tq tsquery, bi bit(5), bv bit varying, mo money, ip inet, ci cidr,
  ma macaddr, m8 macaddr8, u uuid, ls pg_lsn, po polygon, li line, ck circle,
  ch "char", na name, bo boolean, oi oid, rc regclass, my sales.mytext,
  ps sales.prices);
INSERT INTO sales.value (id) VALUES (0);
INSERT INTO sales.value (id, t, c, v, n, r, d, b, ts, tz, da, iv, ia, ta) VALUES
 (1, '', '', '', 'NaN', 'NaN', 'NaN', '', 'infinity', 'infinity', 'infinity',
   '0', '{}', '{}'),
 (2, '\N', 'NULL', E'\\.', '-0', '-0', '-0', '\x00', '-infinity', '-infinity',
   '-infinity', '-178000000 years', '{NULL}', '{NULL,"NULL",""," ","\"","\\"}'),
 (3, E'\\.\n\\.\r\n\t\b\f\v\x7f\x01', 'é', E'a\rb', '1e-1000', 'infinity',
   'infinity', '\xdeadbeef5c2e0a', '4713-01-01 00:00:00 BC',
   '4713-01-01 00:00:00+00 BC', '4713-01-01 BC', '1 mon -1 day +00:00:00.000001',
   '[-3:-1]={1,NULL,3}', '{{a,b},{"c d",NULL}}'),
 (4, '日本 🐘 Ä', '日本', 'ß', repeat('9', 1000)::numeric, 1.17549435e-38,
   2.2250738585072014e-308, decode(repeat('00ff5c', 1000), 'hex'),
   '294276-12-31 23:59:59.999999', '294276-12-31 23:59:59.999999+00',
   '5874897-12-31', '-1 year -2 mons +3 days -04:05:06.7',
   '{{{1,2},{3,4}},{{5,6},{7,8}}}', '{"{}","a,b"}'),
 (5, 'DELETE FROM x; -- $$ ''', '  ', '  ', 0.1 + 0.2, 0.1::real + 0.2::real,
   0.1::float8 + 0.2::float8, NULL, '2026-03-29 02:30:00',
   '2026-10-25 00:30:00.5+00', '2000-02-29', '1 day 24:00:00', NULL, NULL),
 (6, E'\\', E'\\N', E'\\\\n', 1.10, 3.4028235e38, 1.7976931348623157e308,
   '\x5c2e', NULL, NULL, NULL, NULL, NULL, ARRAY['\.', '\N', E'\n']);
INSERT INTO sales.value (id, x, j, jb, jp, ti, tt, ad, pr, fr, ir, nr, tv, tq,
  bi, bv, mo, ip, ci, ma, m8, u, ls, po, li, ck, ch, na, bo, oi, rc, my, ps)
 VALUES (7, '<a b="c">&lt;ä</a>', '{"a" : [1,2, {"b":null}],  "a":1e400}',
  '{"b": "\u00e4\"\\", "a": 1.10}', '$.a[*] ? (@ > 1)', '24:00:00',
  '23:59:59.999999-15:59', ROW(NULL, 'a,"b"\', '(1,2)'),
  ROW(ROW('', NULL, NULL), '{sad,NULL,""}'), '[1.5,2.5)', 'empty', '(,5]',
  '''it''''s'':1A,2B ''b c'':3', '''a'' & !''b'':*A | ''c'' <-> ''d''',
  B'10101', B'', '-92233720368547758.08', '192.168.1.1/24',
  '2001:db8::/32', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05',
  'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'FFFFFFFF/FFFFFFFF',
  '((0,0),(1,1),(2,0))', '{1,2,3}', '<(1,2),3>', '\', 'a name', true,
  4294967295, 'sales.customer', 'mine', '{1.5,2}'),
 (8, 'only text <b/>', ' null', 'null', 'strict $', '00:00:00', '00:00:00+00',
  NULL, NULL, '(,)', '[1,5)', '[1.10,1.100]', '', '', B'00000', B'1',
  '0', '::1', '10.0.0.0/8', NULL, NULL, NULL, '0/0', NULL, NULL, NULL, '', '',
  false, 0, NULL, '', '{}');
INSERT INTO sales.value (id, d, r)
  SELECT 1000 + i, exp(i / 3.7), sqrt(i)::real FROM generate_series(1, 500) i;
\if :v14
CREATE TABLE sales.value14 (m int4multirange, n numeric, b jsonb);
INSERT INTO sales.value14 VALUES ('{[1,3),[5,9)}', 'Infinity', '[]'),
  ('{}', '-Infinity', '{}'), (NULL, NULL, NULL);
CREATE TABLE sales.pressed (id integer, a text COMPRESSION pglz);
INSERT INTO sales.pressed SELECT i, repeat('press ' || i, 3000)
  FROM generate_series(1, 20) i;
\endif
CREATE TABLE sales.toasted (id integer, plain text, packed text, external bytea);
ALTER TABLE sales.toasted ALTER external SET STORAGE EXTERNAL;
INSERT INTO sales.toasted SELECT i,
  (SELECT string_agg(md5((i * 1000 + k)::text), '')
   FROM generate_series(1, 200) k),
  repeat('compressible ', 5000 * i),
  decode(repeat(md5(i::text), 3000), 'hex') FROM generate_series(1, 20) i;

-- ---- names ----
CREATE TABLE "Größe 日本 🐘"."näme 日本" ("spalte ä" text, "b""c" integer);
INSERT INTO "Größe 日本 🐘"."näme 日本" VALUES ('ü', 1), ('日本', 2);
CREATE TABLE "a b"."with.dot" (a integer PRIMARY KEY);
CREATE TABLE "a b"."with/slash" (a integer);
CREATE TABLE "a b"."with ""quotes"" and 'these'" ("a""b" integer, "c'd" text);
CREATE TABLE "a b"."100% \ back" (a integer);
CREATE TABLE "a b"."%s%n$(x)`y`;--" (a integer);
CREATE TABLE "a b".".." (a integer);
CREATE TABLE "a b"."UPPER" (a integer);
CREATE TABLE "a b".upper (a integer);
CREATE TABLE "a b".select ("from" integer, "Select" text);
CREATE TABLE "a b".
  "sixty-three bytes, of which the last ones are not ASCII at all ä" (a integer);
CREATE TABLE "a b"."new
line" ("col
umn" integer PRIMARY KEY, CONSTRAINT "con
straint" CHECK ("col
umn" > 0));
CREATE INDEX "in
dex" ON "a b"."new
line" ((1 + "col
umn"));
COMMENT ON TABLE "a b"."new
line" IS 'a table
;DROP TABLE "a b"."new';
CREATE VIEW "a b"."vi
ew; -- x" AS SELECT * FROM "a b"."new
line";
CREATE TABLE "tab	and ctrl" (a integer);
CREATE TABLE "\." ("\N" text);
INSERT INTO "a b"."with.dot" SELECT generate_series(1, 5);
INSERT INTO "a b"."with/slash" SELECT generate_series(1, 6);
INSERT INTO "a b"."with ""quotes"" and 'these'" VALUES (1, 'x');
INSERT INTO "a b"."100% \ back" SELECT generate_series(1, 7);
INSERT INTO "a b"."%s%n$(x)`y`;--" SELECT generate_series(1, 8);
INSERT INTO "a b".".." SELECT generate_series(1, 9);
INSERT INTO "a b"."UPPER" SELECT generate_series(1, 10);
INSERT INTO "a b".upper SELECT generate_series(1, 11);
INSERT INTO "a b".select VALUES (12, 'x');
INSERT INTO "a b"."new
line" SELECT generate_series(1, 13);
INSERT INTO "tab	and ctrl" SELECT generate_series(1, 14);
INSERT INTO "\." VALUES ('\.'), (E'\n'), (NULL), ('');
CREATE TABLE "a b".
  "sixty-three bytes, of which the last ones are not ASCII at all2" (a integer);

-- ---- views, rules, materialized views ----
CREATE VIEW sales.totals AS SELECT customer, sum(amount) AS total, count(*)
  FROM sales.orders GROUP BY customer;
CREATE VIEW sales.guarded WITH (security_barrier = true, check_option = local)
  AS SELECT * FROM sales.customer WHERE credit > 5;
CREATE RECURSIVE VIEW sales.numbers (n) AS
  VALUES (1) UNION ALL SELECT n + 1 FROM numbers WHERE n < 10;
-- The materialized views, named against the order of their dependencies.
CREATE MATERIALIZED VIEW sales.z_first TABLESPACE hf_space AS
  SELECT * FROM sales.totals WHERE total > 100 ORDER BY customer;
CREATE VIEW sales.m_between AS SELECT customer, total * 2 AS twice
  FROM sales.z_first;
CREATE MATERIALIZED VIEW sales.a_last AS
  SELECT count(*) AS n, sum(twice) AS twice FROM sales.m_between;
CREATE MATERIALIZED VIEW sales.unpopulated AS SELECT * FROM sales.totals
  WITH NO DATA;
CREATE UNIQUE INDEX z_first_key ON sales.z_first (customer);
ALTER MATERIALIZED VIEW sales.a_last OWNER TO hf_admin;
GRANT SELECT ON sales.totals, sales.m_between, sales.z_first TO hf_admin;
GRANT USAGE ON SCHEMA sales TO hf_admin;
COMMENT ON VIEW sales.totals IS 'per customer';
COMMENT ON MATERIALIZED VIEW sales.z_first IS 'large ones';
COMMENT ON COLUMN sales.totals.total IS 'in euros';
-- Two views that refer to each other's table by a rule.
CREATE TABLE sales.ruled (a integer, b text);
CREATE TABLE sales.rule_log (a integer, b text);
INSERT INTO sales.ruled VALUES (1, 'before the rules');
CREATE RULE also AS ON INSERT TO sales.ruled
  DO ALSO INSERT INTO sales.rule_log VALUES (NEW.a, NEW.b);
CREATE RULE "no delete" AS ON DELETE TO sales.ruled WHERE OLD.a > 0
  DO INSTEAD NOTHING;
CREATE RULE notified AS ON UPDATE TO sales.ruled DO ALSO NOTIFY ruled;
CREATE VIEW sales.ruled_view AS SELECT a, b FROM sales.ruled;
ALTER VIEW sales.ruled_view ALTER a SET DEFAULT 5;
CREATE RULE insert_view AS ON INSERT TO sales.ruled_view
  DO INSTEAD INSERT INTO sales.ruled VALUES (NEW.a, NEW.b) RETURNING a, b;
COMMENT ON RULE also ON sales.ruled IS 'also';
-- A view that hangs on a primary key.
CREATE VIEW sales.by_key AS SELECT c.id, c.name, count(*)
  FROM sales.customer c JOIN sales.orders o ON o.customer = c.id GROUP BY c.id;

-- ---- row-level security ----
CREATE TABLE sales.secret (owner name DEFAULT current_user, what text);
INSERT INTO sales.secret VALUES ('hf_writer', 'w'), ('hf_owner', 'o'),
  ('nobody', 'n');
ALTER TABLE sales.secret OWNER TO hf_owner;
CREATE POLICY own ON sales.secret FOR SELECT TO hf_writer
  USING (owner = current_user);
CREATE POLICY "it's restrictive" ON sales.secret AS RESTRICTIVE FOR UPDATE
  TO PUBLIC USING (true) WITH CHECK (what <> '');
ALTER TABLE sales.secret ENABLE ROW LEVEL SECURITY;
ALTER TABLE sales.secret FORCE ROW LEVEL SECURITY;
COMMENT ON POLICY own ON sales.secret IS 'his own';
GRANT ALL ON sales.secret TO hf_writer;

-- ---- triggers that would change, refuse or record rows, if they fired ----
CREATE FUNCTION sales.refuse() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN RAISE EXCEPTION ''a trigger fired on %'', TG_TABLE_NAME; END';
CREATE FUNCTION sales.spoil() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN NEW.b := ''spoiled''; RETURN NEW; END';
CREATE TABLE sales.guarded_rows (a integer PRIMARY KEY, b text);
INSERT INTO sales.guarded_rows SELECT i, 'b' || i FROM generate_series(1, 9) i;
CREATE TRIGGER refuse BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE
  ON sales.guarded_rows FOR EACH STATEMENT EXECUTE FUNCTION sales.refuse();
CREATE TABLE sales.spoiled_rows (a integer PRIMARY KEY, b text);
INSERT INTO sales.spoiled_rows SELECT i, 'b' || i FROM generate_series(1, 9) i;
CREATE TRIGGER spoil BEFORE INSERT OR UPDATE OF b ON sales.spoiled_rows
  FOR EACH ROW WHEN (NEW.a > 0) EXECUTE FUNCTION sales.spoil();
CREATE TRIGGER always BEFORE INSERT ON sales.spoiled_rows
  FOR EACH ROW EXECUTE FUNCTION sales.refuse();
ALTER TABLE sales.spoiled_rows ENABLE ALWAYS TRIGGER always;
CREATE TRIGGER off BEFORE DELETE ON sales.spoiled_rows
  FOR EACH ROW EXECUTE FUNCTION sales.refuse();
ALTER TABLE sales.spoiled_rows DISABLE TRIGGER off;
CREATE CONSTRAINT TRIGGER deferred AFTER INSERT ON sales.spoiled_rows
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION sales.refuse();
CREATE TRIGGER transition AFTER UPDATE ON sales.spoiled_rows
  REFERENCING OLD TABLE AS was NEW TABLE AS "is"
  FOR EACH STATEMENT EXECUTE FUNCTION sales.refuse();
CREATE TRIGGER on_parts AFTER INSERT ON sales.event
  FOR EACH ROW EXECUTE FUNCTION sales.refuse();
CREATE TRIGGER instead INSTEAD OF INSERT ON sales.totals
  FOR EACH ROW EXECUTE FUNCTION sales.refuse();
COMMENT ON TRIGGER refuse ON sales.guarded_rows IS 'nobody may';

-- ---- large objects ----
SELECT lo_from_bytea(5000001, 'small \\ one');
SELECT lo_from_bytea(5000002, '');
SELECT lo_create(5000003);
SELECT lo_put(5000003, i * 100000, decode(repeat(md5(i::text), 2000), 'hex'))
  FROM generate_series(0, 20) i;
SELECT lo_put(5000003, 5000000, '\x00ff');
SELECT lo_from_bytea(4294967295, '\xff');
SELECT count(lo_from_bytea(5100000 + i, convert_to('number ' || i, 'UTF8')))
  FROM generate_series(1, 1500) i;
ALTER LARGE OBJECT 5000002 OWNER TO hf_owner;
GRANT SELECT ON LARGE OBJECT 5000001 TO hf_reader;
GRANT ALL ON LARGE OBJECT 5000002 TO hf_writer WITH GRANT OPTION;
COMMENT ON LARGE OBJECT 5000001 IS 'a large object''s \ comment';

-- ---- foreign data, publications, subscriptions ----
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE SERVER elsewhere TYPE 'pg' VERSION '15' FOREIGN DATA WRAPPER postgres_fdw
  OPTIONS (host 'nowhere.invalid', dbname 'it''s');
CREATE FOREIGN DATA WRAPPER dummy OPTIONS (debug 'true');
CREATE USER MAPPING FOR hf_writer SERVER elsewhere
  OPTIONS (user 'somebody', password 'foreign word');
CREATE USER MAPPING FOR PUBLIC SERVER elsewhere OPTIONS (user 'nobody');
CREATE FOREIGN TABLE sales.remote (a integer OPTIONS (column_name 'x') NOT NULL,
  b text) SERVER elsewhere OPTIONS (schema_name 's', table_name 't');
CREATE FOREIGN TABLE sales.file (line text) SERVER files
  OPTIONS (filename '/dev/null', format 'text');
CREATE FOREIGN TABLE sales.event_remote PARTITION OF sales.event_2025
  FOR VALUES IN ('remote') SERVER elsewhere;
COMMENT ON SERVER elsewhere IS 'far away';
COMMENT ON FOREIGN TABLE sales.remote IS 'there';
COMMENT ON FOREIGN DATA WRAPPER dummy IS 'no handler';
GRANT USAGE ON FOREIGN SERVER files TO hf_writer;
GRANT USAGE ON FOREIGN DATA WRAPPER file_fdw TO hf_owner WITH GRANT OPTION;
ALTER SERVER elsewhere OWNER TO postgres;
CREATE PUBLICATION every FOR ALL TABLES WITH (publish = 'insert, delete');
CREATE PUBLICATION chosen FOR TABLE sales.hen, ONLY sales.mother;
\if :v15
CREATE PUBLICATION filtered FOR TABLE sales.customer (id, name)
  WHERE (id > 5);
CREATE PUBLICATION by_schema FOR TABLES IN SCHEMA "a b", TABLE sales.hen;
\endif
CREATE SUBSCRIPTION sub CONNECTION 'host=nowhere.invalid dbname=x'
  PUBLICATION p1, "p 2" WITH (connect = false, slot_name = NONE);
COMMENT ON PUBLICATION chosen IS 'not all';
COMMENT ON SUBSCRIPTION sub IS 'never enabled';

-- ---- the rest ----
CREATE CONVERSION sales.own_conversion FOR 'LATIN1' TO 'UTF8'
  FROM iso8859_1_to_utf8;
CREATE ACCESS METHOD another_heap TYPE TABLE HANDLER heap_tableam_handler;
CREATE TABLE sales.other_method (a integer) USING another_heap;
INSERT INTO sales.other_method SELECT generate_series(1, 5);
ALTER DEFAULT PRIVILEGES FOR ROLE hf_owner IN SCHEMA sales
  GRANT SELECT ON TABLES TO hf_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE hf_owner
  REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE hf_owner
  GRANT ALL ON SEQUENCES TO hf_writer WITH GRANT OPTION;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO hf_reader;
REVOKE EXECUTE ON FUNCTION pg_catalog.pg_ls_logdir() FROM pg_monitor;
GRANT EXECUTE ON FUNCTION pg_catalog.pg_sleep(double precision) TO hf_reader;

\if :v17
GRANT MAINTAIN ON sales.customer TO hf_reader;
ALTER TABLE sales.customer ALTER mood SET STATISTICS 0;
\endif

-- ---- event triggers: last, and they record what they see ----
CREATE TABLE sales.ddl_log (tag text);
CREATE FUNCTION sales.log_ddl() RETURNS event_trigger LANGUAGE plpgsql AS
  'BEGIN INSERT INTO sales.ddl_log VALUES (TG_TAG); END';
CREATE EVENT TRIGGER log_ddl ON ddl_command_end
  WHEN TAG IN ('CREATE TABLE', 'ALTER TABLE', 'CREATE INDEX', 'COMMENT',
    'REFRESH MATERIALIZED VIEW', 'GRANT')
  EXECUTE FUNCTION sales.log_ddl();
CREATE EVENT TRIGGER dropped ON sql_drop EXECUTE FUNCTION sales.log_ddl();
ALTER EVENT TRIGGER dropped DISABLE;
COMMENT ON EVENT TRIGGER log_ddl IS 'records nothing yet';

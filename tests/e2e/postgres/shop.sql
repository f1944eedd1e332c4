-- An ordinary database, which needs no superuser: psql -d DATABASE
SET client_min_messages = warning;
CREATE SCHEMA stock;
CREATE TYPE colour AS ENUM ('red', 'green');
CREATE TABLE product (id serial PRIMARY KEY, name text NOT NULL, colour colour,
  price numeric(10, 2) CHECK (price >= 0), search tsvector
    GENERATED ALWAYS AS (to_tsvector('english', name)) STORED);
INSERT INTO product (name, colour, price)
  SELECT 'product ' || i, (ARRAY['red', 'green', NULL])[1 + i % 3]::colour, i / 9.0
  FROM generate_series(1, 5000) i;
CREATE INDEX product_search ON product USING gin (search);
CREATE TABLE customer (id integer PRIMARY KEY, name text, friend integer
  REFERENCES customer DEFERRABLE);
INSERT INTO customer SELECT i, 'customer ' || i, 1 + (i + 7) % 1000
  FROM generate_series(1, 1000) i;
CREATE TABLE sale (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  customer integer NOT NULL REFERENCES customer,
  product integer NOT NULL REFERENCES product, at timestamptz);
INSERT INTO sale (customer, product, at)
  SELECT 1 + i % 1000, 1 + i % 5000, '2026-01-01'::timestamptz + i * '1 m'::interval
  FROM generate_series(1, 30000) i;
CREATE INDEX ON sale (customer);
CREATE TABLE "Odd ""name"" of.it" (a integer);
INSERT INTO "Odd ""name"" of.it" SELECT generate_series(1, 4);
CREATE TABLE stock.place (id integer PRIMARY KEY, name text);
INSERT INTO stock.place SELECT i, 'place ' || i FROM generate_series(1, 20) i;
CREATE TABLE stock.unit (product integer, place integer REFERENCES stock.place,
  n integer);
INSERT INTO stock.unit SELECT i, 1 + i % 20, i FROM generate_series(1, 5000) i;
CREATE VIEW best AS SELECT product, count(*) AS n FROM sale GROUP BY product;
CREATE MATERIALIZED VIEW best_known AS SELECT * FROM best ORDER BY n DESC LIMIT 10;
CREATE FUNCTION touched() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN NEW.name := NEW.name || ''!''; RETURN NEW; END';
CREATE TRIGGER touched BEFORE INSERT OR UPDATE ON product
  FOR EACH ROW EXECUTE FUNCTION touched();
GRANT SELECT ON product TO PUBLIC;
COMMENT ON TABLE sale IS 'what was sold';

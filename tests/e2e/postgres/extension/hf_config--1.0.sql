CREATE TABLE setting (name text PRIMARY KEY, value text, shipped boolean);
INSERT INTO setting VALUES ('shipped', 'with the extension', true);
CREATE TABLE setting_of (id integer PRIMARY KEY,
  name text REFERENCES setting);
CREATE TABLE not_dumped (a integer);
CREATE SEQUENCE setting_number;
SELECT pg_catalog.pg_extension_config_dump('setting', 'WHERE NOT shipped');
SELECT pg_catalog.pg_extension_config_dump('setting_of', '');
SELECT pg_catalog.pg_extension_config_dump('setting_number', '');

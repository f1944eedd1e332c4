-- Roles, memberships and a tablespace: what belongs to a server, not to one of
-- its databases.  psql -v place=FOLDER
SET password_encryption = 'scram-sha-256';
CREATE ROLE "Rôle ""with"" 'all' \ of.it/100%" NOLOGIN;
CREATE ROLE hf_admin LOGIN CREATEDB CREATEROLE BYPASSRLS;
CREATE ROLE hf_owner NOLOGIN;
CREATE ROLE hf_reader NOLOGIN NOINHERIT;
CREATE ROLE hf_writer LOGIN PASSWORD 'written once' CONNECTION LIMIT 7
  VALID UNTIL '2099-12-31 23:59:59+00';
COMMENT ON ROLE hf_owner IS 'owns what''s here';
COMMENT ON ROLE "Rôle ""with"" 'all' \ of.it/100%" IS E'two\nlines';
GRANT hf_reader TO hf_writer;
GRANT hf_owner TO hf_admin WITH ADMIN OPTION;
GRANT "Rôle ""with"" 'all' \ of.it/100%" TO hf_writer;
ALTER ROLE hf_writer SET work_mem = '5MB';
ALTER ROLE hf_reader SET search_path = '"$user"', public, pg_temp;
CREATE TABLESPACE hf_space OWNER hf_owner LOCATION :'place'
  WITH (seq_page_cost = 1.25);
COMMENT ON TABLESPACE hf_space IS 'another disk';
GRANT CREATE ON TABLESPACE hf_space TO hf_writer;

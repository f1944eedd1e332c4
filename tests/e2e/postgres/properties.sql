-- What belongs to the database itself.  psql -d DATABASE
COMMENT ON DATABASE :"DBNAME" IS 'the one that''s backed up \ 100%';
ALTER DATABASE :"DBNAME" SET work_mem = '7MB';
ALTER DATABASE :"DBNAME" SET search_path = '$user', 'public', 'a b';
ALTER DATABASE :"DBNAME" SET DateStyle = 'German, DMY';
ALTER DATABASE :"DBNAME" SET IntervalStyle = 'sql_standard';
ALTER DATABASE :"DBNAME" SET bytea_output = 'escape';
ALTER DATABASE :"DBNAME" SET extra_float_digits = 0;
ALTER DATABASE :"DBNAME" SET default_transaction_read_only = on;
SET default_transaction_read_only = off;
ALTER ROLE hf_writer IN DATABASE :"DBNAME" SET lock_timeout = '3s';
ALTER DATABASE :"DBNAME" OWNER TO hf_owner;
ALTER DATABASE :"DBNAME" CONNECTION LIMIT 55;
REVOKE TEMPORARY ON DATABASE :"DBNAME" FROM PUBLIC;
GRANT CREATE, TEMPORARY ON DATABASE :"DBNAME" TO hf_writer WITH GRANT OPTION;

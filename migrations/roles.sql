-- The PostgreSQL roles of a node, each with the least that its work needs. docs/security.md says why.
--
--     psql -d east -v side=branch      -f migrations/roles.sql
--     psql -d head -v side=head-office -f migrations/roles.sql
--
-- Run it as a superuser in the node's database: before `salesync init`, once more after it, because some rights are on
-- what `init` makes, and again whenever a table is added. Running it again changes nothing else. Nobody can log in as
-- these roles before they have a password (`\password salesync_bundle`) or a line in pg_hba.conf.
--
-- A role belongs to all databases of a server. Where a server has several nodes, their roles need other names: whoever
-- may log in as salesync_bundle may do so in each of them.

\set ON_ERROR_STOP on
\if :{?side} \else \set side '' \endif
SELECT :'side' = 'branch' AS is_branch, :'side' = 'head-office' AS is_head_office \gset

\if :is_branch
BEGIN;

-- salesync_bundle  runs `bundle`, `sync`, `resend`, `prune`, `status`. Owns the schema salesync, reads the tables that
--                  travel, writes to none of them.
-- salesync_init    runs `init`, `leave` and `replay --into-branch`, now and then and by a person: makes triggers, which only
--                  the owner of a table may enable always. So it is a member of the roles that own the tables.
-- salesync_sell    runs `import`, and `serve` where nobody presses Sync now: works on public.sales.
-- salesync_page    runs `serve`: both salesync_sell and salesync_bundle.
-- salesync_status  runs `status` for monitoring: reads.
--
-- The application's own role needs nothing of all this, and nothing in the schema salesync.
DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['salesync_bundle', 'salesync_init', 'salesync_sell', 'salesync_page', 'salesync_status'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
            EXECUTE format('CREATE ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS', wanted);
        END IF;
        EXECUTE format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO %I', current_database(), wanted);
    END LOOP;
END $$;
GRANT salesync_bundle TO salesync_init;
GRANT salesync_bundle, salesync_sell TO salesync_page;

-- For each role that owns tables which travel:
--     GRANT shop TO salesync_init;

-- Whoever may make something in public can lay a trap for others there; so it was the rule before PostgreSQL 15.
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
-- For `init --with-sales` and `replay --into-branch`, which make tables where there are none.
GRANT CREATE ON SCHEMA public TO salesync_init;

-- Whatever is made in this schema belongs to its owner, whoever runs `init`; and `init` lets that role read the tables.
CREATE SCHEMA IF NOT EXISTS salesync AUTHORIZATION salesync_bundle;
GRANT USAGE ON SCHEMA salesync TO salesync_sell, salesync_status;
ALTER DEFAULT PRIVILEGES FOR ROLE salesync_bundle IN SCHEMA salesync
    GRANT SELECT ON TABLES TO salesync_sell, salesync_status;

-- What exists only after `init`.
DO $$
DECLARE
    tracked record;
    counter regclass;
BEGIN
    IF to_regclass('salesync.tracked_table') IS NOT NULL THEN
        GRANT SELECT ON ALL TABLES IN SCHEMA salesync TO salesync_sell, salesync_status;
        -- Forms of the page that were sent.
        GRANT INSERT, UPDATE, DELETE ON salesync.spent_form TO salesync_sell;
        FOR tracked IN SELECT schema_name, table_name FROM salesync.tracked_table
                       WHERE to_regclass(format('%I.%I', schema_name, table_name)) IS NOT NULL LOOP
            EXECUTE format('GRANT USAGE ON SCHEMA %I TO salesync_sell, salesync_status', tracked.schema_name);
            EXECUTE format('GRANT SELECT ON %I.%I TO salesync_sell, salesync_status', tracked.schema_name, tracked.table_name);
        END LOOP;
    END IF;
    IF to_regclass('public.sales') IS NOT NULL THEN
        GRANT SELECT, INSERT, UPDATE, DELETE ON public.sales TO salesync_sell;
        -- What numbers the sales, where that is no identity column.
        FOR counter IN SELECT d.objid::regclass FROM pg_depend d JOIN pg_class c ON c.oid = d.objid AND c.relkind = 'S'
                       WHERE d.refobjid = 'public.sales'::regclass AND d.deptype = 'a' LOOP
            EXECUTE format('GRANT USAGE ON SEQUENCE %s TO salesync_sell', counter);
        END LOOP;
    END IF;
END $$;

COMMIT;
\elif :is_head_office
BEGIN;

-- salesync_apply    runs `init`, `apply`, `replay`, `approve`, `request`, `prune` and all the rest. Owns the schema
--                   salesync and the tables that it makes for the branches' rows.
-- salesync_view     runs `serve` where nobody operates, and `compare`: reads, and keeps what the page adds up.
-- salesync_operate  runs `serve` where people decide: records also what they decide and ask for. The next `apply`
--                   carries it out, or the one that always runs.
-- salesync_status   runs `status` for monitoring: reads the ledger, and no sales.
DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['salesync_apply', 'salesync_view', 'salesync_operate', 'salesync_status'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
            EXECUTE format('CREATE ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS', wanted);
        END IF;
        EXECUTE format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO %I', current_database(), wanted);
    END LOOP;
END $$;
GRANT salesync_view TO salesync_operate;

REVOKE CREATE ON SCHEMA public FROM PUBLIC;
CREATE SCHEMA IF NOT EXISTS salesync AUTHORIZATION salesync_apply;
GRANT USAGE ON SCHEMA salesync TO salesync_view, salesync_status;
ALTER DEFAULT PRIVILEGES FOR ROLE salesync_apply IN SCHEMA salesync
    GRANT SELECT ON TABLES TO salesync_view, salesync_status;

-- The branches' tables are made in the schemas that they have there. For tables in others than public, make each of
-- these schemas:
--     CREATE SCHEMA shop AUTHORIZATION salesync_apply;
GRANT USAGE, CREATE ON SCHEMA public TO salesync_apply;
ALTER DEFAULT PRIVILEGES FOR ROLE salesync_apply GRANT SELECT ON TABLES TO salesync_view;
ALTER DEFAULT PRIVILEGES FOR ROLE salesync_apply GRANT USAGE ON SCHEMAS TO salesync_view;

-- What exists only after `init`.
DO $$
BEGIN
    IF to_regclass('salesync.decision') IS NOT NULL THEN
        GRANT SELECT ON ALL TABLES IN SCHEMA salesync TO salesync_view, salesync_status;
        GRANT INSERT, UPDATE, DELETE ON salesync.sales_by_branch, salesync.sales_by_region, salesync.sales_by_product,
            salesync.sales_by_region_and_product, salesync.sales_backlog, salesync.sales_seen TO salesync_view;
        GRANT INSERT ON salesync.decision, salesync.request TO salesync_operate;
    END IF;
END $$;

COMMIT;
\else
DO $$ BEGIN RAISE EXCEPTION 'say which side this is: psql -v side=branch, or psql -v side=head-office'; END $$;
\endif

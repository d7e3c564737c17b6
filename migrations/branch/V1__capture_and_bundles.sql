-- The branch's side: who this database is, which tables are tracked, which bundles were sealed.

-- One row: the node this database belongs to, and where its last cut stands.
CREATE TABLE salesync.node (
    only_row           boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    name               text NOT NULL,
    role               text NOT NULL CHECK (role = 'branch'),
    epoch              uuid NOT NULL,            -- incarnation of this database
    last_sequence      bigint NOT NULL DEFAULT 0 CHECK (last_sequence >= 0),
    last_manifest      text,                     -- SHA-256 of the last bundle's manifest.json
    watermark          pg_snapshot,              -- snapshot of the last cut; NULL before the first
    pruned_through     bigint NOT NULL DEFAULT 0, -- the logs have forgotten what this bundle's cut saw
    message_limit      bigint,                   -- the broker's, in bytes, once it has refused a larger bundle
    system_identifier  bigint NOT NULL,          -- the cluster that wrote the last bundle
    database_oid       oid NOT NULL,             -- the database in that cluster
    replaces           uuid                      -- the epoch that was given up for this one, if one was known
);

-- Whether a `bundle --follow` wants to be notified of changes: replaced when it begins and ends. The capture
-- triggers ask in every statement, and a function that says one thing becomes a constant in their plans.
CREATE FUNCTION salesync.is_followed() RETURNS boolean LANGUAGE sql STABLE AS 'SELECT false';

-- One row per table whose changes are captured. Its log is salesync.log_<table_id>.
CREATE TABLE salesync.tracked_table (
    table_id     integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    schema_name  text NOT NULL,
    table_name   text NOT NULL,
    day_column   text,                           -- its business day, if it has one
    capture      text NOT NULL,                  -- SHA-256 of the statements that installed capture
    is_complete  boolean NOT NULL DEFAULT false, -- true once its whole content has been in a cut
    shape        text[],                         -- its columns when it last travelled; NULL if not known
    whole_in     bigint NOT NULL DEFAULT 0,      -- the last bundle of the cut in which it last travelled whole
    unlogged     bigint,                         -- what PostgreSQL's statistics had counted in the table then and not in its log
    counted      bigint,                         -- what they had counted in the table: fewer now means that they were reset
    UNIQUE (schema_name, table_name)
);

-- One row per sealed bundle; the file is in the archive.
CREATE TABLE salesync.bundle (
    epoch            uuid NOT NULL,
    sequence         bigint NOT NULL CHECK (sequence > 0),
    bundle_id        uuid NOT NULL UNIQUE,
    manifest_sha256  text NOT NULL,
    watermark        pg_snapshot NOT NULL,
    part             integer NOT NULL CHECK (part > 0),
    is_last_part     boolean NOT NULL,           -- without its last part a cut was not finished
    row_count        bigint NOT NULL,            -- inserts and updates
    tombstone_count  bigint NOT NULL,
    byte_count       bigint NOT NULL,            -- size of the file
    file_sha256      text,                       -- of the file, if it is encrypted
    state            text NOT NULL DEFAULT 'sealed'
                     CHECK (state IN ('sealed', 'published', 'applied', 'held', 'rejected')),
    reason           text,                       -- head office's, while it is held or rejected
    cut_at           timestamptz NOT NULL,       -- what was committed before is in the cut
    sealed_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    published_at     timestamptz,                -- when it was begun to be sent, once a broker has it
    confirmed_at     timestamptz,                -- when a broker had it
    is_told          boolean NOT NULL DEFAULT false, -- whether a later bundle tells head office of these two
    applied_at       timestamptz,                -- head office's clock
    PRIMARY KEY (epoch, sequence)
);

-- Head office's answers, every one that came.
CREATE TABLE salesync.receipt (
    receipt_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    bundle_id    uuid NOT NULL,
    outcome      text NOT NULL CHECK (outcome IN ('applied', 'held', 'rejected')),
    body         text NOT NULL,                  -- the JSON, byte for byte as it came
    signature    text,                           -- head office's, in hexadecimal digits, if there was one
    refusal      text,                           -- why it was not believed, and changed nothing
    received_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- What head office asks of this branch.
CREATE TABLE salesync.request (
    request_id   uuid PRIMARY KEY,
    body         text NOT NULL,                  -- the JSON, byte for byte as it came
    received_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    answered_at  timestamptz,                    -- when what was wanted was done, or found impossible
    refusal      text                            -- why it is impossible, or was not believed
);

-- Forms of the page that have added a sale: one that is sent twice adds one.
CREATE TABLE salesync.spent_form (
    form_id   uuid PRIMARY KEY,
    sale_id   bigint,                            -- the sale, once it is in the table
    spent_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

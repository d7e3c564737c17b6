-- Head office's side: how far each branch is, what was applied, what came, what went wrong.

-- One row: the node this database belongs to.
CREATE TABLE salesync.node (
    only_row  boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    name      text NOT NULL,
    role      text NOT NULL CHECK (role = 'head-office')
);

-- One row per branch. Applying a bundle locks the branch's row.
CREATE TABLE salesync.branch (
    name             text PRIMARY KEY,
    epoch            uuid,                       -- NULL before the first bundle
    last_sequence    bigint NOT NULL DEFAULT 0 CHECK (last_sequence >= 0),
    last_manifest    text,                       -- SHA-256 of the last applied manifest.json
    last_applied_at  timestamptz,
    is_at_cut        boolean NOT NULL DEFAULT false -- the last applied bundle was the last part of its cut
);

-- The ledger: one row per bundle that was applied or is held, written in the applying transaction.
CREATE TABLE salesync.bundle (
    branch           text NOT NULL REFERENCES salesync.branch,
    epoch            uuid NOT NULL,
    sequence         bigint NOT NULL CHECK (sequence > 0),
    bundle_id        uuid NOT NULL UNIQUE,
    manifest_sha256  text NOT NULL,
    state            text NOT NULL CHECK (state IN ('applied', 'held')),
    reason           text,                       -- why it is held
    row_count        bigint NOT NULL,            -- inserts and updates in it
    tombstone_count  bigint NOT NULL,
    byte_count       bigint NOT NULL,
    created_at       timestamptz NOT NULL,       -- the branch's clock
    received_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    applied_at       timestamptz,
    PRIMARY KEY (branch, epoch, sequence)
);

-- Every arrival of a bundle, by whatever way, and what it led to.
CREATE TABLE salesync.delivery (
    delivery_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    branch           text,                       -- NULL if nothing says whose it is
    epoch            uuid,
    sequence         bigint,
    manifest_sha256  text,
    source           text NOT NULL CHECK (source IN ('queue', 'file', 'archive')),
    outcome          text NOT NULL CHECK (outcome IN ('applied', 'duplicate', 'held', 'rejected')),
    reason           text,
    received_at      timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Head office's answers. The first answer to a bundle is written in the applying transaction.
CREATE TABLE salesync.receipt (
    receipt_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    branch        text NOT NULL,
    bundle_id     uuid NOT NULL,
    outcome       text NOT NULL CHECK (outcome IN ('applied', 'held', 'rejected')),
    body          text NOT NULL,              -- the JSON, byte for byte as it is sent
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    published_at  timestamptz                    -- NULL until a broker has it
);
CREATE INDEX ON salesync.receipt (receipt_id) WHERE published_at IS NULL;
CREATE INDEX ON salesync.receipt (bundle_id);

-- What a person should know: rejected bundles, divergences.
CREATE TABLE salesync.incident (
    incident_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    branch       text,                           -- NULL if nothing says whose it is
    epoch        uuid,
    sequence     bigint,
    kind         text NOT NULL CHECK (kind IN ('rejected', 'divergence')),
    detail       text NOT NULL,
    file         text,                           -- where the bundle is kept
    happened_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- The branch's last word on its business days: what its bundles have stated of each, the latest of it.
CREATE TABLE salesync.day_total (
    branch       text NOT NULL REFERENCES salesync.branch,
    schema_name  text NOT NULL,
    table_name   text NOT NULL,
    day          date NOT NULL,
    day_column   text NOT NULL,                  -- the business-day column
    summed       text[] NOT NULL,                -- the columns that are summed
    row_count    bigint NOT NULL,                -- live rows of that day
    totals       jsonb NOT NULL,                 -- one total for each summed column
    epoch        uuid NOT NULL,                  -- of the bundle that stated it
    sequence     bigint NOT NULL,
    stated_at    timestamptz NOT NULL,           -- the branch's clock
    PRIMARY KEY (branch, schema_name, table_name, day)
);

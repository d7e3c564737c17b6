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
    known_since      timestamptz NOT NULL DEFAULT clock_timestamp(), -- it was registered, or came back: not late before that
    is_at_cut        boolean NOT NULL DEFAULT false, -- the last applied bundle was the last part of its cut
    cut_taken_at     timestamptz,                -- when that cut was taken: what was committed before is in it; the branch's clock
    data_as_of       timestamptz,                -- the same of the last finished cut: what is here is as of then
    applied_bundles  bigint NOT NULL DEFAULT 0,  -- all that was ever applied: bundles,
    applied_rows     bigint NOT NULL DEFAULT 0,  -- rows and tombstones in them,
    applied_bytes    bigint NOT NULL DEFAULT 0   -- their size
);

-- The ledger: one row per bundle that was applied or is held, written in the applying transaction.
CREATE TABLE salesync.bundle (
    branch           text NOT NULL REFERENCES salesync.branch,
    epoch            uuid NOT NULL,
    sequence         bigint NOT NULL CHECK (sequence > 0),
    bundle_id        uuid NOT NULL UNIQUE,
    manifest_sha256  text NOT NULL,
    state            text NOT NULL CHECK (state IN ('applied', 'held')),
    hold             text CHECK (hold IN ('gap', 'deletion', 'schema')), -- what it waits for, while it is held
    reason           text,                       -- the same in words
    row_count        bigint NOT NULL,            -- inserts and updates in it
    tombstone_count  bigint NOT NULL,
    byte_count       bigint NOT NULL,
    created_at       timestamptz NOT NULL,       -- the branch's clock
    published_at     timestamptz,                -- the same, as a later bundle has told: when it was begun to be sent,
    confirmed_at     timestamptz,                -- and when a broker had it
    received_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    applied_at       timestamptz,
    key_id           text,                       -- the key that proves whose it is; NULL if the branch had none
    PRIMARY KEY (branch, epoch, sequence),
    CHECK ((state = 'held') = (hold IS NOT NULL))
);
-- Few are held, and they are looked up for every branch at once.
CREATE INDEX ON salesync.bundle (branch, epoch, sequence) WHERE state = 'held';

-- The branch's tables as they were when they last came.
CREATE TABLE salesync.branch_table (
    branch          text NOT NULL REFERENCES salesync.branch,
    schema_name     text NOT NULL,
    table_name      text NOT NULL,
    columns         jsonb NOT NULL,              -- as in the manifest: name, type, key
    deleted_in_cut  bigint NOT NULL DEFAULT 0,   -- rows that the parts of the current cut have deleted
    inserted_in_cut bigint NOT NULL DEFAULT 0,   -- and added
    PRIMARY KEY (branch, schema_name, table_name)
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
-- For all that came under a number, and for those whose hash begins so.
CREATE INDEX ON salesync.delivery (branch, epoch, sequence);
CREATE INDEX ON salesync.delivery (manifest_sha256 text_pattern_ops);

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
    kind         text NOT NULL CHECK (kind IN ('rejected', 'held', 'divergence')),
    detail       text NOT NULL,
    file         text,                           -- where the bundle is kept
    is_unproven  boolean NOT NULL DEFAULT false, -- a rejected bundle that its branch may not have sent
    happened_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    resolved_at  timestamptz                     -- when the bundle was applied after all
);
CREATE INDEX ON salesync.incident (branch, incident_id);
-- Few are open, and they are looked up for every branch at once.
CREATE INDEX ON salesync.incident (branch, epoch, sequence) WHERE kind = 'rejected' AND resolved_at IS NULL;
CREATE INDEX ON salesync.incident (happened_at);

-- What head office asks of a branch.
CREATE TABLE salesync.request (
    request_id      uuid PRIMARY KEY,
    branch          text NOT NULL REFERENCES salesync.branch,
    wanted          text NOT NULL CHECK (wanted IN ('resend', 'full', 'sync')),
    epoch           uuid,                        -- of the bundles that are wanted again; NULL means the current one
    first_sequence  bigint,
    last_sequence   bigint,
    body            text NOT NULL,               -- the JSON, byte for byte as it is sent
    requested_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    published_at    timestamptz,                 -- NULL until a broker has it
    answered_at     timestamptz                  -- when a bundle came that answers it
);
CREATE INDEX ON salesync.request (branch) WHERE answered_at IS NULL;
CREATE INDEX ON salesync.request (requested_at);

-- What people have decided: who, when, why.
CREATE TABLE salesync.decision (
    decision_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    branch           text NOT NULL REFERENCES salesync.branch,
    verdict          text NOT NULL CHECK (verdict IN ('approve', 'reject', 'retry', 'request')),
    epoch            uuid,                       -- the bundle, if it was about one
    sequence         bigint,
    watermark        text,                       -- the cut that was approved, with all its parts
    hold             text,                       -- what it waited for: nothing else of it is approved
    request_id       uuid REFERENCES salesync.request, -- what the branch is asked for
    reason           text,
    decided_by       text NOT NULL,              -- the operator's login and machine
    decided_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    carried_out_at   timestamptz,                -- NULL until whoever applies has done it
    trouble          text                        -- why it could not be done
);
CREATE INDEX ON salesync.decision (decision_id) WHERE carried_out_at IS NULL;
CREATE INDEX ON salesync.decision (branch, decision_id);
CREATE INDEX ON salesync.decision (decided_at);
CREATE INDEX ON salesync.decision (request_id);

-- The keys that branches have shown by a probe, whether they count or not: the configuration says that.
CREATE TABLE salesync.presented_key (
    branch        text NOT NULL REFERENCES salesync.branch,
    public_key    text NOT NULL,
    key_id        text NOT NULL,
    presented_at  timestamptz NOT NULL DEFAULT clock_timestamp(), -- the last time
    PRIMARY KEY (branch, public_key)
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
-- The days of all branches in their order, for the page of sales.
CREATE INDEX ON salesync.day_total (day, branch);

-- What public.sales adds up to, for the page: kept by `salesync serve`, a little behind the bundles. A day has a row for
-- each branch, for each region, for each product, and for each region and product together; a month has their sums.
CREATE TABLE salesync.sales_by_branch (
    is_month   boolean NOT NULL,
    first_day  date NOT NULL,                    -- the day, or the first of the month
    branch     text NOT NULL,
    row_count  bigint NOT NULL,
    qty        numeric,
    amt        numeric,
    tax        numeric,
    total      numeric
);
CREATE INDEX ON salesync.sales_by_branch (is_month, first_day);
CREATE TABLE salesync.sales_by_region (
    is_month   boolean NOT NULL,
    first_day  date NOT NULL,
    region     text,
    row_count  bigint NOT NULL,
    qty        numeric,
    amt        numeric,
    tax        numeric,
    total      numeric
);
CREATE INDEX ON salesync.sales_by_region (is_month, first_day);
CREATE TABLE salesync.sales_by_product (
    is_month   boolean NOT NULL,
    first_day  date NOT NULL,
    product    text,
    row_count  bigint NOT NULL,
    qty        numeric,
    amt        numeric,
    tax        numeric,
    total      numeric
);
CREATE INDEX ON salesync.sales_by_product (is_month, first_day);
CREATE TABLE salesync.sales_by_region_and_product (
    is_month   boolean NOT NULL,
    first_day  date NOT NULL,
    region     text,
    product    text,
    row_count  bigint NOT NULL,
    qty        numeric,
    amt        numeric,
    tax        numeric,
    total      numeric
);
CREATE INDEX ON salesync.sales_by_region_and_product (is_month, first_day);

-- The days that have to be added up again.
CREATE TABLE salesync.sales_backlog (
    day  date PRIMARY KEY
);

-- Up to which bundle it was looked which days of a branch have changed.
CREATE TABLE salesync.sales_seen (
    branch    text PRIMARY KEY REFERENCES salesync.branch,
    epoch     uuid NOT NULL,
    sequence  bigint NOT NULL,
    days      date[] NOT NULL                    -- of which the branch had stated something then
);

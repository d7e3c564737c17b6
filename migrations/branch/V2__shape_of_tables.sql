-- What a definition did to a table without writing a row, and how far back its log reaches.
ALTER TABLE salesync.tracked_table
    ADD COLUMN shape    text[],                    -- its columns when it last travelled; NULL if not known
    ADD COLUMN whole_in bigint NOT NULL DEFAULT 0; -- the last bundle of the cut in which it last travelled whole

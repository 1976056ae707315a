-- Answers that are metered while they are given: one row each, the newest totals only. A row that is settled stays,
-- so that a chunk that arrives again is told what became of it.
CREATE TABLE rating.usage_streams (
    contract text NOT NULL,
    usage_id text NOT NULL,
    identity text NOT NULL,
    sequence bigint NOT NULL,
    received bytea NOT NULL,
    ttl interval NOT NULL,
    settle_time timestamptz NOT NULL,
    state text NOT NULL CHECK (state IN ('OPEN', 'SETTLING', 'SETTLED', 'QUARANTINED')),
    hold text NOT NULL,
    held_units bigint NOT NULL,
    hold_expire_time timestamptz,
    hold_number integer NOT NULL,
    wanted_units bigint NOT NULL,
    PRIMARY KEY (contract, usage_id)
);
CREATE INDEX usage_streams_due ON rating.usage_streams (settle_time) WHERE state IN ('OPEN', 'SETTLING');

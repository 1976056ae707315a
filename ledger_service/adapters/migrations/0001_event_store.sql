-- The event store of one shard: the append-only log, the snapshots beside it and the projections' positions.
-- Runs with the shard's schema as its search_path. Column names of stored_events and notification_tracking
-- are those of the eventsourcing library, whose recorder and subscription work on them.

-- COLLATE "C": streams are ids, so bytes decide their order, and comparing bytes keeps the key cheap.
-- notification_id has no sequence on purpose: see docs/decisions/0001-positions.md.
-- Compression is left at the server's default: it only ever touches rows above 2 kB, which are rare here.
CREATE TABLE stored_events (
    originator_id text COLLATE "C" NOT NULL,
    originator_version bigint NOT NULL CHECK (originator_version > 0),
    topic text COLLATE "C" NOT NULL,
    state bytea NOT NULL,
    notification_id bigint NOT NULL CHECK (notification_id > 0),
    key_hash uuid,
    PRIMARY KEY (originator_id, originator_version)
) WITH (
    fillfactor = 100,
    -- Rows never die, so only insert-driven vacuums matter: they set pages all-visible and frozen bit by bit,
    -- which spares the log one huge anti-wraparound vacuum later.
    autovacuum_vacuum_insert_threshold = 1000000,
    autovacuum_vacuum_insert_scale_factor = 0,
    autovacuum_analyze_threshold = 50000,
    autovacuum_analyze_scale_factor = 0.05
);

-- The order of the log. Two writers that want one position meet here: the second waits, then fails.
CREATE UNIQUE INDEX stored_events_notification_id_idx ON stored_events (notification_id);

-- Idempotency: 16 bytes of hash, only on the event that answers a keyed command.
CREATE UNIQUE INDEX stored_events_key_hash_idx ON stored_events (key_hash) WHERE key_hash IS NOT NULL;

CREATE FUNCTION forbid_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on %.% is forbidden: the log is append-only', TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END
$$;

-- Per statement, so that appending pays nothing for it.
CREATE TRIGGER stored_events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON stored_events
    FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();
ALTER TABLE stored_events ENABLE ALWAYS TRIGGER stored_events_append_only;

-- A cache of folded streams: it may be emptied at any time. Room on the page keeps the frequent updates HOT.
CREATE TABLE snapshots (
    originator_id text COLLATE "C" PRIMARY KEY,
    originator_version bigint NOT NULL,
    format integer NOT NULL,
    state bytea NOT NULL
) WITH (fillfactor = 60);

-- How far each projection has come; the row changes with every page, in the transaction of its effects.
CREATE TABLE notification_tracking (
    application_name text PRIMARY KEY,
    notification_id bigint NOT NULL
) WITH (fillfactor = 10, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0);

-- The log for people: the same rows, readable in psql.
CREATE VIEW events AS
SELECT
    notification_id AS position,
    originator_id AS stream,
    originator_version AS version,
    topic,
    fact AS state,
    (fact ->> 'record_time')::timestamptz AS record_time,
    (fact ->> 'effective_time')::timestamptz AS effective_time,
    fact ->> 'idempotency_key' AS idempotency_key
FROM stored_events, LATERAL (SELECT convert_from(state, 'UTF8')::jsonb AS fact) AS decoded;

-- Usage that could not be rated. Nothing is ever removed: an entry waits until it is recorded or dismissed.
-- The same bytes of the same usage are one entry, however often they arrive.
CREATE TABLE rating.quarantine (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    usage_id text NOT NULL,
    contract text NOT NULL,
    effective_time timestamptz,
    domain text NOT NULL,
    reason text NOT NULL,
    message text NOT NULL,
    state text NOT NULL DEFAULT 'WAITING' CHECK (state IN ('WAITING', 'RECORDED', 'DISMISSED')),
    receive_time timestamptz NOT NULL,
    retry_count integer NOT NULL DEFAULT 0,
    position bigint NOT NULL DEFAULT 0,
    dismiss_actor text NOT NULL DEFAULT '',
    dismiss_reason text NOT NULL DEFAULT '',
    received bytea NOT NULL,
    digest bytea NOT NULL GENERATED ALWAYS AS (sha256(received)) STORED,
    UNIQUE (contract, usage_id, digest)
);
CREATE INDEX quarantine_waiting ON rating.quarantine (number) WHERE state = 'WAITING';

CREATE FUNCTION rating.keep_quarantined() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rating.quarantine is never emptied: % refused', TG_OP USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER quarantine_is_kept BEFORE DELETE ON rating.quarantine
    FOR EACH ROW EXECUTE FUNCTION rating.keep_quarantined();
CREATE TRIGGER quarantine_is_never_emptied BEFORE TRUNCATE ON rating.quarantine
    FOR EACH STATEMENT EXECUTE FUNCTION rating.keep_quarantined();

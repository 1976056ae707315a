-- What the ledger is to be told of issued documents. A row is stored in the transaction that stores its document,
-- and `position` is noted once the ledger has recorded it, so that both exist together after any break. `number`
-- is the order in which the documents of a contract were issued and are recorded.
CREATE TABLE rating.ledger_records (
    document text COLLATE "C" PRIMARY KEY,
    number bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    contract text NOT NULL,
    payload bytea NOT NULL,
    position bigint CHECK (position > 0),
    refusal text NOT NULL DEFAULT '',
    retry_time timestamptz NOT NULL DEFAULT '-infinity'
);
CREATE INDEX ledger_records_waiting ON rating.ledger_records (contract, number) WHERE position IS NULL;

CREATE FUNCTION rating.keep_ledger_records() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF OLD.position IS NULL AND (NEW.document, NEW.number, NEW.contract, NEW.payload)
            IS NOT DISTINCT FROM (OLD.document, OLD.number, OLD.contract, OLD.payload) THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'rating.ledger_records only notes a position, once: % refused', TG_OP
        USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER ledger_records_are_kept BEFORE UPDATE OR DELETE ON rating.ledger_records
    FOR EACH ROW EXECUTE FUNCTION rating.keep_ledger_records();
CREATE TRIGGER ledger_records_are_never_emptied BEFORE TRUNCATE ON rating.ledger_records
    FOR EACH STATEMENT EXECUTE FUNCTION rating.keep_ledger_records();

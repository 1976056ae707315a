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

-- Credit notes: kept as invoices are. `number` is the order of their issue; `idempotency_key` names the call;
-- `settles` is the invoice whose debt to the customer a note settles.
CREATE TABLE rating.credit_notes (
    name text COLLATE "C" PRIMARY KEY,
    number bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    invoice text COLLATE "C" NOT NULL,
    contract text NOT NULL,
    customer text NOT NULL,
    currency_code text NOT NULL,
    settlement text NOT NULL CHECK (settlement IN ('REFUND', 'CREDIT', 'OFFSET')),
    settles text NOT NULL,
    total_nanos bigint NOT NULL CHECK (total_nanos > 0),
    issue_time timestamptz NOT NULL,
    watermark_position bigint NOT NULL,
    idempotency_key text NOT NULL,
    hash text NOT NULL,
    document bytea NOT NULL,
    UNIQUE (contract, idempotency_key),
    CHECK (hash = encode(sha256(document), 'hex'))
);
CREATE INDEX credit_notes_of_invoice ON rating.credit_notes (invoice, number);
CREATE INDEX credit_notes_of_contract ON rating.credit_notes (contract, number);
CREATE INDEX credit_notes_that_settle ON rating.credit_notes (settles) WHERE settles <> '';

-- Invoices that owe their customer something, which credit notes settle; they are few.
CREATE INDEX invoices_that_owe ON rating.invoices (contract, sequence)
    WHERE position('"CREDIT_DUE"'::bytea IN document) > 0;

CREATE OR REPLACE FUNCTION rating.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rating.% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER credit_notes_never_change BEFORE UPDATE OR DELETE ON rating.credit_notes
    FOR EACH ROW EXECUTE FUNCTION rating.refuse_change();
CREATE TRIGGER credit_notes_are_never_emptied BEFORE TRUNCATE ON rating.credit_notes
    FOR EACH STATEMENT EXECUTE FUNCTION rating.refuse_change();

-- What rating keeps of the ledger's history, and the invoices it issued.
-- Everything but rating.invoices can be dropped and followed again from position 0.

-- How far the ledger's log has been followed; one row, changed in the transaction of each page's effect.
CREATE TABLE rating.tracking (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    position bigint NOT NULL CHECK (position >= 0)
);
INSERT INTO rating.tracking (position) VALUES (0);

-- Rate cards, plans and contracts as the ledger recorded them: what the catalogue is rebuilt from.
CREATE TABLE rating.agreement_events (
    position bigint PRIMARY KEY,
    stream text NOT NULL,
    version bigint NOT NULL,
    topic text NOT NULL,
    state bytea NOT NULL
);

-- Every debit: those without a charge may draw on included grants too. draws and charge are the ledger's own
-- JSON text; the columns taken out of the charge find the debits behind an invoice line.
CREATE TABLE rating.debits (
    position bigint PRIMARY KEY,
    wallet text NOT NULL,
    version bigint NOT NULL,
    effective_time timestamptz NOT NULL,
    usage text NOT NULL,
    amount_units bigint NOT NULL,
    overage_units bigint NOT NULL,
    draws text NOT NULL,
    contract text NOT NULL,
    contract_phase text NOT NULL,
    rate_card_phase text NOT NULL,
    charge text
);
CREATE INDEX debits_of_wallet ON rating.debits (wallet, effective_time, position);

-- Grants that belong to a cycle of a contract.
CREATE TABLE rating.included_grants (
    wallet text NOT NULL,
    version bigint NOT NULL,
    position bigint NOT NULL,
    contract text NOT NULL,
    effective_time timestamptz NOT NULL,
    expire_time timestamptz,
    amount_units bigint NOT NULL,
    PRIMARY KEY (wallet, version)
);

CREATE TABLE rating.invoices (
    name text COLLATE "C" PRIMARY KEY,
    contract text NOT NULL,
    cycle_start_time timestamptz NOT NULL,
    cycle_end_time timestamptz NOT NULL,
    issue_time timestamptz NOT NULL,
    watermark_position bigint NOT NULL,
    hash text NOT NULL,
    document bytea NOT NULL,
    UNIQUE (contract, cycle_start_time),
    CHECK (hash = encode(sha256(document), 'hex')),
    CHECK (cycle_start_time < cycle_end_time)
);

CREATE FUNCTION rating.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rating.invoices is append-only: % refused', TG_OP USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER invoices_never_change BEFORE UPDATE OR DELETE ON rating.invoices
    FOR EACH ROW EXECUTE FUNCTION rating.refuse_change();
CREATE TRIGGER invoices_are_never_emptied BEFORE TRUNCATE ON rating.invoices
    FOR EACH STATEMENT EXECUTE FUNCTION rating.refuse_change();

-- A contract's invoices are numbered in the order of issue, so that of two that were computed from the same earlier
-- ones the store takes one only: each says what was learned since the one before. A cycle has one invoice that closes
-- it, and any number of earlier ones for what its usage had come to.
ALTER TABLE rating.invoices ADD COLUMN kind text NOT NULL DEFAULT 'CYCLE'
    CHECK (kind IN ('CYCLE', 'THRESHOLD', 'FINAL'));
ALTER TABLE rating.invoices ADD COLUMN sequence bigint;
ALTER TABLE rating.invoices DISABLE TRIGGER invoices_never_change;
UPDATE rating.invoices AS i SET sequence = numbered.sequence
FROM (
    SELECT name, row_number() OVER (PARTITION BY contract ORDER BY watermark_position, cycle_start_time) AS sequence
    FROM rating.invoices
) AS numbered
WHERE i.name = numbered.name;
ALTER TABLE rating.invoices ENABLE TRIGGER invoices_never_change;
ALTER TABLE rating.invoices ALTER COLUMN sequence SET NOT NULL;
ALTER TABLE rating.invoices ADD CONSTRAINT invoices_of_contract_in_order UNIQUE (contract, sequence);
ALTER TABLE rating.invoices DROP CONSTRAINT invoices_contract_cycle_start_time_key;
CREATE UNIQUE INDEX one_closing_invoice_of_cycle ON rating.invoices (contract, cycle_start_time)
    WHERE kind <> 'THRESHOLD';

-- What was agreed on a contract, as known at a position.
CREATE INDEX agreements_of_stream ON rating.agreement_events (stream, position);

-- What a wallet was debited since a position (versions of a wallet are in the order of positions), and the debit that a
-- reversal takes back: both say of which invoiced cycles something was learned.
CREATE UNIQUE INDEX debits_by_name ON rating.debits (wallet, version);

-- Grants that were paid for. position is that of the payment, NULL while a grant waits for it.
CREATE TABLE rating.purchases (
    wallet text NOT NULL,
    version bigint NOT NULL,
    position bigint,
    effective_time timestamptz NOT NULL,
    amount_units bigint NOT NULL,
    currency_code text NOT NULL,
    nanos bigint NOT NULL,
    reference text NOT NULL,
    top_up_version bigint NOT NULL,
    PRIMARY KEY (wallet, version)
);

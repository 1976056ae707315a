-- Debits that adjust, by when they were posted: they may have used the included credit of the cycle that ran then.
CREATE INDEX debits_that_adjust_by_time ON rating.debits (wallet, effective_time)
    WHERE adjusted_cycle_time IS NOT NULL;

-- What an invoice owes its customer, so that what no note has settled yet is found without reading documents.
ALTER TABLE rating.invoices ADD COLUMN owed_nanos bigint NOT NULL DEFAULT 0 CHECK (owed_nanos >= 0);
ALTER TABLE rating.invoices DISABLE TRIGGER invoices_never_change;
UPDATE rating.invoices
SET owed_nanos = coalesce((convert_from(document, 'UTF8')::jsonb -> 'credit_due' ->> 'nanos')::bigint, 0)
WHERE position('"CREDIT_DUE"'::bytea IN document) > 0;
ALTER TABLE rating.invoices ENABLE TRIGGER invoices_never_change;
DROP INDEX rating.invoices_that_owe;
CREATE INDEX invoices_that_owe ON rating.invoices (name) WHERE owed_nanos > 0;

-- The fees of a contract's first cycle may be billed in advance, by an invoice that does not close it.
ALTER TABLE rating.invoices DROP CONSTRAINT invoices_kind_check;
ALTER TABLE rating.invoices ADD CONSTRAINT invoices_kind_check
    CHECK (kind IN ('CYCLE', 'THRESHOLD', 'FINAL', 'ADVANCE'));
DROP INDEX rating.one_closing_invoice_of_cycle;
CREATE UNIQUE INDEX one_closing_invoice_of_cycle ON rating.invoices (contract, cycle_start_time)
    WHERE kind IN ('CYCLE', 'FINAL');

-- What was taken back of debits. Kept beside them and not in them: which of it an invoice counts depends on
-- the invoice's watermark. `returned` is JSON: units by grant.
CREATE TABLE rating.debit_reversals (
    position bigint PRIMARY KEY,
    wallet text NOT NULL,
    version bigint NOT NULL,
    debit_version bigint NOT NULL,
    effective_time timestamptz NOT NULL,
    amount_units bigint NOT NULL,
    overage_units bigint NOT NULL,
    returned text NOT NULL
);
CREATE INDEX reversals_of_debit ON rating.debit_reversals (wallet, debit_version, position);

-- The billing of each contract: how far it is, and when it is due again ('infinity': never). The follower adds a row
-- for each contract and makes it due, with a new revision, in the transaction that stores a change of the contract.
-- `allotted` is JSON: included credit that is granted, or on its way into the ledger, and whose cycle goes on.
CREATE TABLE rating.billing (
    contract text COLLATE "C" PRIMARY KEY,
    due_time timestamptz NOT NULL DEFAULT '-infinity',
    revision bigint NOT NULL DEFAULT 1,
    billed_until timestamptz,
    allotted_until timestamptz,
    plan_position bigint NOT NULL DEFAULT 0,
    allotted text NOT NULL DEFAULT '[]',
    failure text
);
CREATE INDEX billing_due ON rating.billing (due_time, contract);
CREATE INDEX billing_failed ON rating.billing (contract) WHERE failure IS NOT NULL;
INSERT INTO rating.billing (contract)
    SELECT DISTINCT stream FROM rating.agreement_events WHERE topic = 'contract.ContractSigned.v1';

-- What the overage of a cycle has come to and no invoice holds, in nanos of the contract's currency: an estimate, never
-- below the truth, for contracts that are invoiced from an amount on. `checks` counts how often it was put right.
CREATE TABLE rating.unbilled_overage (
    contract text COLLATE "C" NOT NULL,
    cycle_start_time timestamptz NOT NULL,
    nanos numeric NOT NULL,
    checks bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (contract, cycle_start_time)
);

-- What was revoked of grants that belong to a cycle: a change of the contract replaces them.
CREATE TABLE rating.included_withdrawals (
    position bigint PRIMARY KEY,
    wallet text NOT NULL,
    grant_version bigint NOT NULL,
    amount_units bigint NOT NULL
);
CREATE INDEX withdrawals_of_grant ON rating.included_withdrawals (wallet, grant_version, position);

-- What transfers, chargebacks and goodwill add to the projections. The defaults are what a history without them says.

ALTER TABLE wallet_view_grants
    ADD COLUMN transferred_units bigint NOT NULL DEFAULT 0,
    ADD COLUMN transfer text NOT NULL DEFAULT '',
    ADD COLUMN receivable_nanos bigint NOT NULL DEFAULT 0,
    ADD COLUMN compensates_version bigint NOT NULL DEFAULT 0;

-- Transfers on their way: a courier brings them to their end. Arrived and returned ones are deleted.
CREATE TABLE wallet_view_transfers (
    wallet text COLLATE "C" NOT NULL,
    transfer_version bigint NOT NULL,
    destination text COLLATE "C" NOT NULL,
    amount_units bigint NOT NULL,
    PRIMARY KEY (wallet, transfer_version)
);

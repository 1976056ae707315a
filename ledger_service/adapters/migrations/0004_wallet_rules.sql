-- What holds, reversals, revocations, refunds, roll-overs, recurring grants and debts add to the projections.
-- The defaults are what a history without them says.

ALTER TABLE wallet_view_wallets
    ADD COLUMN debt_units numeric NOT NULL DEFAULT 0,
    ADD COLUMN revoked_units numeric NOT NULL DEFAULT 0,
    ADD COLUMN burn_down_order text NOT NULL DEFAULT 'default/1';

ALTER TABLE wallet_view_grants
    ADD COLUMN held_units bigint NOT NULL DEFAULT 0,
    ADD COLUMN revoked_units bigint NOT NULL DEFAULT 0,
    ADD COLUMN rolled_over_units bigint NOT NULL DEFAULT 0,
    ADD COLUMN purchase_version bigint NOT NULL DEFAULT 0,
    ADD COLUMN recurrence jsonb,
    ADD COLUMN series_version bigint NOT NULL DEFAULT 0;

-- Holds that reserve something: the sweeper looks for those whose time is over.
CREATE TABLE wallet_view_holds (
    wallet text COLLATE "C" NOT NULL,
    hold_version bigint NOT NULL,
    expire_time timestamptz NOT NULL,
    held_units numeric NOT NULL,
    PRIMARY KEY (wallet, hold_version)
) WITH (fillfactor = 70);

CREATE INDEX wallet_view_holds_expire_time_idx ON wallet_view_holds (expire_time);

-- Recurring grants that come again, by the first of them, and when.
CREATE TABLE wallet_view_series (
    wallet text COLLATE "C" NOT NULL,
    series_version bigint NOT NULL,
    next_time timestamptz NOT NULL,
    PRIMARY KEY (wallet, series_version)
);

CREATE INDEX wallet_view_series_next_time_idx ON wallet_view_series (next_time);

-- A lot that rolls over in part is not read as broken at its expiry before the log says what moved on.
ALTER TABLE deferred_revenue_lots
    ADD COLUMN rolls_over boolean NOT NULL DEFAULT false,
    ADD COLUMN held_units bigint NOT NULL DEFAULT 0,
    ADD COLUMN refunded_units bigint NOT NULL DEFAULT 0,
    ADD COLUMN rolled_units bigint NOT NULL DEFAULT 0,
    ADD COLUMN refunded_nanos bigint NOT NULL DEFAULT 0,
    ADD COLUMN rolled_nanos bigint NOT NULL DEFAULT 0;

ALTER TABLE deferred_revenue_days
    ADD COLUMN refunds_nanos numeric NOT NULL DEFAULT 0;

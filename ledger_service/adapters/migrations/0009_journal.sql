-- Projection journal: what the facts mean in money. It takes the place of deferred_revenue.
-- Runs with the shard's schema as its search_path.

DROP TABLE deferred_revenue_lots;
DROP TABLE deferred_revenue_days;
DELETE FROM notification_tracking WHERE application_name = 'deferred_revenue';

-- What was posted, by day. Two rows a flow, one of the debited account (above zero) and one of the credited (below),
-- so that all rows of a currency, of an entity or of a record day add up to zero.
CREATE TABLE journal_days (
    posting_day date NOT NULL,
    record_day date NOT NULL,
    effective_day date NOT NULL,
    entity text COLLATE "C" NOT NULL,
    currency_code text COLLATE "C" NOT NULL,
    account text COLLATE "C" NOT NULL,
    movement text COLLATE "C" NOT NULL,
    product text COLLATE "C" NOT NULL,
    source text COLLATE "C" NOT NULL,
    nanos numeric NOT NULL,
    PRIMARY KEY (currency_code, posting_day, record_day, effective_day, entity, account, movement, product, source)
) WITH (fillfactor = 70);

-- Lots with consideration, and bonuses that share that of a purchase (`purchase_version`; all figures stand there).
CREATE TABLE journal_lots (
    wallet text COLLATE "C" NOT NULL,
    grant_version bigint NOT NULL,
    entity text COLLATE "C" NOT NULL,
    product text COLLATE "C" NOT NULL,
    pool text COLLATE "C" NOT NULL,
    currency_code text COLLATE "C" NOT NULL,
    -- In the entity's own currency; refunded, rolled and escheated nanos likewise.
    consideration_nanos bigint NOT NULL,
    -- Units that share it: those granted, and those of bonuses.
    amount_units bigint NOT NULL,
    effective_day date NOT NULL,
    expire_time timestamptz,
    purchase_version bigint NOT NULL,
    -- What time does to it is seen once it is recorded: part of it may move on, or a bonus in it lasts longer.
    as_recorded boolean NOT NULL,
    -- Expected breakage as a fraction of the units: numerator / denominator, below 1. 0 / 1: no estimate.
    estimate_numerator bigint NOT NULL,
    estimate_denominator bigint NOT NULL,
    drawn_units bigint NOT NULL,
    -- Expired or revoked.
    expired_units bigint NOT NULL,
    -- Declared remote: breakage already, though they may be drawn still.
    remote_units bigint NOT NULL,
    held_units bigint NOT NULL,
    -- Refunded, charged back or clawed back.
    refunded_units bigint NOT NULL,
    -- Moved to another lot by roll-over or transfer.
    rolled_units bigint NOT NULL,
    refunded_nanos bigint NOT NULL,
    rolled_nanos bigint NOT NULL,
    escheated_nanos bigint NOT NULL,
    usage_nanos bigint NOT NULL,
    breakage_nanos bigint NOT NULL,
    used_up boolean NOT NULL,
    -- What one unit of the consideration's currency was worth at receipt, in the entity's own: decimal text.
    exchange_rate text NOT NULL,
    PRIMARY KEY (wallet, grant_version)
) WITH (fillfactor = 70);

-- Finds lots that time has ended but whose expiry no event has recorded yet (HOT: see 0002).
CREATE INDEX journal_lots_expire_time_idx ON journal_lots (expire_time) WHERE NOT used_up;
CREATE INDEX journal_lots_pool_idx ON journal_lots (pool) WHERE pool <> '';

-- Breakage pools: the sums of their lots, and what the pool has recognised beyond what its lots have by themselves.
CREATE TABLE journal_pools (
    pool text COLLATE "C" PRIMARY KEY,
    entity text COLLATE "C" NOT NULL,
    currency_code text COLLATE "C" NOT NULL,
    jurisdiction text NOT NULL,
    term text NOT NULL,
    method text NOT NULL,
    escheat_fraction text NOT NULL,
    estimate_numerator bigint NOT NULL,
    estimate_denominator bigint NOT NULL,
    consideration_nanos numeric NOT NULL,
    amount_units numeric NOT NULL,
    drawn_units numeric NOT NULL,
    usage_nanos numeric NOT NULL,
    lot_breakage_nanos numeric NOT NULL,
    pool_breakage_nanos numeric NOT NULL
);

-- The scale of a wallet's asset, by which overage is priced.
CREATE TABLE journal_wallets (
    wallet text COLLATE "C" PRIMARY KEY,
    asset_scale integer NOT NULL
);

-- Overage that is on no invoice yet.
CREATE TABLE journal_unbilled (
    wallet text COLLATE "C" NOT NULL,
    currency_code text COLLATE "C" NOT NULL,
    nanos numeric NOT NULL,
    PRIMARY KEY (wallet, currency_code)
) WITH (fillfactor = 70);

-- What the bills of a contract need: its wallet, and the end of the prepaid commitment that is drawn down.
CREATE TABLE journal_contracts (
    contract text COLLATE "C" PRIMARY KEY,
    wallet text COLLATE "C" NOT NULL,
    commitment_end date
);

-- Accounting periods that take no entries any more: those recorded after `locked_position` go to the next one.
CREATE TABLE journal_periods (
    entity text COLLATE "C" NOT NULL,
    from_day date NOT NULL,
    to_day date NOT NULL,
    locked_position bigint NOT NULL,
    close_time timestamptz,
    figures_hash text NOT NULL,
    PRIMARY KEY (entity, from_day)
);

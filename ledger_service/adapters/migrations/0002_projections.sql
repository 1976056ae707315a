-- The projections of one shard: derived from the log, and rebuilt from it at any time.
-- Runs with the shard's schema as its search_path. A projection's tables carry its name; how far it has come
-- is its row in notification_tracking, which changes in the same transaction as its tables.
--
-- Sums that no command bounds (a wallet's totals, a day's money) are numeric: a projection that met a sum
-- beyond int64 could never go on. Room on the page keeps the frequent updates HOT.

-- Projection wallet_view: what ListWallets and ListGrants show.
CREATE TABLE wallet_view_wallets (
    wallet text COLLATE "C" PRIMARY KEY,
    customer text COLLATE "C" NOT NULL,
    asset_code text NOT NULL,
    asset_scale integer NOT NULL,
    open_time timestamptz NOT NULL,
    version bigint NOT NULL,
    granted_units numeric NOT NULL,
    debited_units numeric NOT NULL,
    overage_units numeric NOT NULL,
    expired_units numeric NOT NULL
) WITH (fillfactor = 70);

CREATE INDEX wallet_view_wallets_customer_idx ON wallet_view_wallets (customer, wallet);

-- One row each time a policy was set; the one in force is the latest effective, of those the latest recorded.
CREATE TABLE wallet_view_policies (
    wallet text COLLATE "C" NOT NULL,
    policy_version bigint NOT NULL,
    effective_time timestamptz NOT NULL,
    contract text NOT NULL,
    contract_phase text NOT NULL,
    shortfall_mode text NOT NULL,
    overage_limit_units bigint NOT NULL,
    PRIMARY KEY (wallet, policy_version)
);

CREATE TABLE wallet_view_grants (
    wallet text COLLATE "C" NOT NULL,
    grant_version bigint NOT NULL,
    amount_units bigint NOT NULL,
    category text NOT NULL,
    priority integer NOT NULL,
    scope text[] NOT NULL,
    effective_time timestamptz NOT NULL,
    expire_time timestamptz,
    currency_code text,
    consideration_nanos bigint,
    reference text NOT NULL,
    contract text NOT NULL,
    drawn_units bigint NOT NULL,
    expired_units bigint NOT NULL,
    PRIMARY KEY (wallet, grant_version)
) WITH (fillfactor = 70);

-- Projection deferred_revenue: paid lots only, each with what it has recognised so far.
CREATE TABLE deferred_revenue_lots (
    wallet text COLLATE "C" NOT NULL,
    grant_version bigint NOT NULL,
    currency_code text NOT NULL,
    consideration_nanos bigint NOT NULL,
    amount_units bigint NOT NULL,
    effective_day date NOT NULL,
    expire_time timestamptz,
    drawn_units bigint NOT NULL,
    expired_units bigint NOT NULL,
    recognised_usage_nanos bigint NOT NULL,
    recognised_breakage_nanos bigint NOT NULL,
    used_up boolean NOT NULL,
    PRIMARY KEY (wallet, grant_version)
) WITH (fillfactor = 70);

-- Finds lots that time has ended but whose expiry no event has recorded yet. A boolean and not a comparison
-- of the counters in the predicate: an update of a column that an index mentions would not be HOT.
CREATE INDEX deferred_revenue_lots_expire_time_idx ON deferred_revenue_lots (expire_time) WHERE NOT used_up;

-- What was billed and recognised on each day (UTC).
CREATE TABLE deferred_revenue_days (
    currency_code text COLLATE "C" NOT NULL,
    day date NOT NULL,
    billings_nanos numeric NOT NULL,
    recognised_usage_nanos numeric NOT NULL,
    recognised_breakage_nanos numeric NOT NULL,
    PRIMARY KEY (currency_code, day)
);

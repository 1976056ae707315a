-- What debits add up to by day: the usage of dashboards, whose cost depends on days and groups and not on debits.
-- All of it is folded from rating.debits and rating.debit_reversals and can be folded anew from nothing.

-- Who and what a debit was for. feature, api_key and usage_user come from the debit, model from the properties of
-- its charge; empty where nothing was said.
ALTER TABLE rating.debits
    ADD COLUMN feature text NOT NULL DEFAULT '',
    ADD COLUMN api_key text NOT NULL DEFAULT '',
    ADD COLUMN usage_user text NOT NULL DEFAULT '',
    ADD COLUMN model text NOT NULL DEFAULT '';

-- How far debits were folded; one row, changed in the transaction of each fold. Never beyond rating.tracking.
CREATE TABLE rating.usage_tracking (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    position bigint NOT NULL CHECK (position >= 0)
);
INSERT INTO rating.usage_tracking (position) VALUES (0);

-- The names that have sums of their own: the first ones of a wallet's day, in the order of the log. What is not
-- here counts as "(other)".
CREATE TABLE rating.usage_names (
    wallet text COLLATE "C" NOT NULL,
    day date NOT NULL,
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('feature', 'model', 'api_key', 'usage_user')),
    name text COLLATE "C" NOT NULL,
    PRIMARY KEY (wallet, day, kind, name)
);

-- Sums of debits, net of reversals. `day` is UTC, `local_day` that of the contract's zone. dimension '' counts
-- whole debits; other rows count the lines of their charges, which hold neither units nor overage. Sums are
-- numeric: exact, and without a bound.
CREATE TABLE rating.usage_days (
    wallet text COLLATE "C" NOT NULL,
    day date NOT NULL,
    local_day date NOT NULL,
    contract text COLLATE "C" NOT NULL,
    feature text COLLATE "C" NOT NULL,
    model text COLLATE "C" NOT NULL,
    api_key text COLLATE "C" NOT NULL,
    usage_user text COLLATE "C" NOT NULL,
    rate_card_phase text COLLATE "C" NOT NULL,
    cost_currency text COLLATE "C" NOT NULL,
    dimension text COLLATE "C" NOT NULL,
    requests bigint NOT NULL,
    quantity numeric NOT NULL,
    amount_units numeric NOT NULL,
    overage_units numeric NOT NULL,
    exact_units numeric NOT NULL,
    provider_cost numeric NOT NULL,
    PRIMARY KEY (
        wallet, day, dimension, local_day, contract, feature, model, api_key, usage_user, rate_card_phase,
        cost_currency
    )
) WITH (fillfactor = 80);

-- Legal entities: whose business a wallet is, in which currency they keep their books, and what other currencies are worth.
-- Runs with the shard's schema as its search_path.

ALTER TABLE wallet_view_wallets ADD COLUMN entity text COLLATE "C" NOT NULL DEFAULT 'default';
ALTER TABLE journal_wallets ADD COLUMN entity text COLLATE "C" NOT NULL DEFAULT 'default';

-- Functional currencies, in force for what is recorded after `position`.
CREATE TABLE journal_entities (
    entity text COLLATE "C" PRIMARY KEY,
    currency_code text COLLATE "C" NOT NULL,
    position bigint NOT NULL
);

-- Exchange rates, those that were put right included: of two for one instant the later position counts, for what is
-- recorded after it. `rate` is decimal text.
CREATE TABLE journal_rates (
    entity text COLLATE "C" NOT NULL,
    currency_code text COLLATE "C" NOT NULL,
    from_time timestamptz NOT NULL,
    position bigint NOT NULL,
    rate text NOT NULL,
    source text NOT NULL,
    record_time timestamptz NOT NULL,
    PRIMARY KEY (entity, currency_code, from_time, position)
);

-- What is booked in the functional currency and will be cleared in another: overage of a wallet, and of a contract what
-- was billed ahead and what is owed to its customer.
CREATE TABLE journal_carried (
    holder text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    currency_code text COLLATE "C" NOT NULL,
    book_currency_code text COLLATE "C" NOT NULL,
    -- In the currency in which it will be cleared.
    nanos numeric NOT NULL,
    -- What the account holds for it.
    book_nanos numeric NOT NULL,
    -- The same before rounding, in 10^-18 nanos.
    exact_attonanos numeric NOT NULL,
    PRIMARY KEY (holder, kind, currency_code)
) WITH (fillfactor = 70);

-- At which rate an invoice in a foreign currency was booked: its credit notes take back as much.
CREATE TABLE journal_bill_rates (
    contract text COLLATE "C" NOT NULL,
    invoice text COLLATE "C" NOT NULL,
    rate text NOT NULL,
    PRIMARY KEY (contract, invoice)
);
-- That of the prepaid commitment that is drawn down; empty: it was billed in the entity's own currency.
ALTER TABLE journal_contracts ADD COLUMN commitment_rate text NOT NULL DEFAULT '';

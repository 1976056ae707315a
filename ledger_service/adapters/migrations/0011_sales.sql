-- What sales add to the projections: tax that was given back, and the terms that a grant was sold on.

-- Tax that was given back or moved on with units of a lot, in the currency that was paid. None was before.
ALTER TABLE journal_lots ADD COLUMN returned_tax_nanos bigint NOT NULL DEFAULT 0;

-- Terms of the sale as its grant records them. A rebuild fills them in for grants of before.
ALTER TABLE wallet_view_grants ADD COLUMN finance jsonb;

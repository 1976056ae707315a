-- The position of the newest page of history that changed what is due of a contract, in the place of how many did.
-- A turn of billing that knew less than that leaves the contract due: the store may be ahead of what a service knows.
ALTER TABLE rating.billing RENAME COLUMN revision TO change_position;
ALTER TABLE rating.billing ALTER COLUMN change_position SET DEFAULT 0;

-- What a hold is asked for with, until it is noted: wallet, feature, API key and user. Holds that were asked for without
-- it are not asked for again: they wait for their expiry.
ALTER TABLE rating.usage_streams ADD COLUMN wanted_for text[] NOT NULL DEFAULT '{}';
UPDATE rating.usage_streams SET wanted_units = 0 WHERE wanted_units > 0;

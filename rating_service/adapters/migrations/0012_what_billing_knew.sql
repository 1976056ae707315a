-- The position of the newest page of history that changed what is due of a contract, in the place of how many did.
-- A turn of billing that knew less than that leaves the contract due: the store may be ahead of what a service knows.
ALTER TABLE rating.billing RENAME COLUMN revision TO change_position;
ALTER TABLE rating.billing ALTER COLUMN change_position SET DEFAULT 0;

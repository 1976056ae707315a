-- Finds lots whose expiry has come, for the sweeper. The counters stay out of the index, so that draws stay HOT.
CREATE INDEX wallet_view_grants_expire_time_idx ON wallet_view_grants (expire_time) WHERE expire_time IS NOT NULL;

-- Debits that adjust, by when they were posted: they may have used the included credit of the cycle that ran then.
CREATE INDEX debits_that_adjust_by_time ON rating.debits (wallet, effective_time)
    WHERE adjusted_cycle_time IS NOT NULL;

-- Debits that put right what usage of a cycle was charged: the cycle that they adjust, empty for usage.
ALTER TABLE rating.debits ADD COLUMN adjusted_cycle_time timestamptz;
CREATE INDEX debits_that_adjust ON rating.debits (contract, adjusted_cycle_time, position)
    WHERE adjusted_cycle_time IS NOT NULL;

-- Phases for the past whose consequences are all posted. Without a row they are looked at again.
CREATE TABLE rating.settled_phases (
    phase text PRIMARY KEY,
    settle_time timestamptz NOT NULL DEFAULT now()
);

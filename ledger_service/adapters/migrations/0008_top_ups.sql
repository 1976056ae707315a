-- Grants that wait for a payment, grants that a top-up paid for, and when an automatic top-up may be due.

-- payment_state: '' for a grant that was issued; PENDING, LAPSED or WITHDRAWN for one that waits or waited in vain.
ALTER TABLE wallet_view_grants
    ADD COLUMN payment_state text NOT NULL DEFAULT '',
    ADD COLUMN top_up_version bigint NOT NULL DEFAULT 0;

-- Instants at which a limit or a wait of automatic top-ups ends: the sweeper looks whether one is due then.
CREATE TABLE wallet_view_top_up_timers (
    wallet text COLLATE "C" NOT NULL,
    timer text NOT NULL,
    next_time timestamptz NOT NULL,
    PRIMARY KEY (wallet, timer)
);

CREATE INDEX wallet_view_top_up_timers_next_time_idx ON wallet_view_top_up_timers (next_time);

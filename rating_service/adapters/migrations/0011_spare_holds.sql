-- Holds in whose place another came, until it is known that the ledger has them no longer.
ALTER TABLE rating.usage_streams ADD COLUMN spare_holds text[] NOT NULL DEFAULT '{}';
CREATE INDEX usage_streams_with_spare_holds ON rating.usage_streams (settle_time) WHERE spare_holds <> '{}';

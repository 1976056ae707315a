-- Breakage pools whose newest estimate was stated in units: of all that were issued by the end of the day of its record.

-- That day and the units, so that what is recorded later on that day counts in it, however far a run had come. Null and 0
-- after an estimate by a fraction. A rebuild fills them in for estimates of before.
ALTER TABLE journal_pools
    ADD COLUMN stated_day date,
    ADD COLUMN stated_units bigint NOT NULL DEFAULT 0;

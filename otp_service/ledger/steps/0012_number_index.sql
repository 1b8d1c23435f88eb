-- One number may have very many records: type and app stand in its index, so that those that do not pass need no look at
-- the table.
DROP INDEX records_number;
CREATE INDEX records_number ON records (number_hash, at_ms, counter, shard, type, app) WHERE number_hash IS NOT NULL;

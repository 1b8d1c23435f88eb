-- One number may have very many records: each pair of it with a type or an app has an index of its own, so that a page
-- of what the number has not is found at once. The old index goes last: in PostgreSQL readers wait from then on.
CREATE INDEX records_number_at ON records (number_hash, at_ms, counter, shard) WHERE number_hash IS NOT NULL;
CREATE INDEX records_number_type ON records (number_hash, type, at_ms, counter, shard, app)
  WHERE number_hash IS NOT NULL;
CREATE INDEX records_number_app ON records (number_hash, app, at_ms, counter, shard)
  WHERE number_hash IS NOT NULL AND app IS NOT NULL;
DROP INDEX records_number;

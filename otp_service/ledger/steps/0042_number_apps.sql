-- A number's records lie scattered in each index that begins with it, so each of these indices costs every write a page.
-- In order by app, one index serves a number alone, too: it has few apps. The old ones go last: in PostgreSQL readers
-- wait from then on.
CREATE INDEX records_number_apps ON records (number_hash, app, at_ms, counter, shard) WHERE number_hash IS NOT NULL;
DROP INDEX records_number_app;
DROP INDEX records_number_at;

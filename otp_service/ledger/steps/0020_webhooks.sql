-- What the carrier signed and which record it caused, sealed. `seq` is that record's number and `at_ms` its time; the
-- record holds the commitment to it.
CREATE TABLE webhooks (
  seq $whole PRIMARY KEY,
  at_ms $whole NOT NULL,
  number_hash TEXT,
  sealed TEXT NOT NULL
);
CREATE INDEX webhooks_at ON webhooks (at_ms);
CREATE INDEX webhooks_number ON webhooks (number_hash) WHERE number_hash IS NOT NULL;

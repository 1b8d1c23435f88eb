-- What the carrier signed and which record it caused, sealed. `seq` is that record's number; the record holds the
-- commitment to it.
CREATE TABLE webhooks (
  seq $whole PRIMARY KEY,
  number_hash TEXT,
  sealed TEXT NOT NULL
);
CREATE INDEX webhooks_number ON webhooks (number_hash) WHERE number_hash IS NOT NULL;

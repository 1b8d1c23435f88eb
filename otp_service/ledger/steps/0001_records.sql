-- One row is the size of the ledger: whoever appends locks it.
CREATE TABLE ledger (id INTEGER PRIMARY KEY, size $whole NOT NULL);
INSERT INTO ledger (id, size) VALUES (1, 0);

-- The records. `seq` begins at 1 and has no gaps. The columns behind `leaf_hash` are only for searching.
CREATE TABLE records (
  seq $serial PRIMARY KEY,
  leaf $bytes NOT NULL,
  leaf_hash $bytes NOT NULL,
  shard INTEGER NOT NULL,
  at_ms $whole NOT NULL,
  counter $whole NOT NULL,
  type TEXT NOT NULL,
  app TEXT,
  verification TEXT,
  delivery TEXT,
  message_id TEXT,
  number_hash TEXT,
  person $whole
);
CREATE INDEX records_at ON records (at_ms, counter, shard);
CREATE INDEX records_type ON records (type, at_ms, counter, shard);
CREATE INDEX records_app ON records (app, type, at_ms, counter, shard) WHERE app IS NOT NULL;
CREATE INDEX records_app_at ON records (app, at_ms, counter, shard) WHERE app IS NOT NULL;
CREATE INDEX records_verification ON records (verification, at_ms, counter, shard) WHERE verification IS NOT NULL;
CREATE INDEX records_number ON records (number_hash, at_ms, counter, shard) WHERE number_hash IS NOT NULL;
CREATE INDEX records_message ON records (message_id, at_ms, counter, shard) WHERE message_id IS NOT NULL;

-- What identifies somebody, sealed, with the salt of the commitment that stands in the record.
CREATE TABLE persons (
  id $serial PRIMARY KEY,
  number_hash TEXT,
  sealed TEXT NOT NULL
);
CREATE INDEX persons_number ON persons (number_hash) WHERE number_hash IS NOT NULL;

-- How far each shard's stream has been read: the id of the last entry, and how many entries there were until then.
CREATE TABLE positions (
  shard INTEGER PRIMARY KEY,
  entry TEXT NOT NULL,
  counted $whole NOT NULL
);

-- Each erasure, by a keyed hash that names nobody.
CREATE TABLE erasures (
  tombstone TEXT PRIMARY KEY,
  at_ms $whole NOT NULL
);

-- Each configuration that decided anything, by its hash: `sha256:` and 64 digits.
CREATE TABLE configurations (
  hash TEXT PRIMARY KEY,
  content TEXT NOT NULL
);

-- What the store lost before it was read, or what it repeated.
CREATE TABLE gaps (
  id TEXT PRIMARY KEY,
  at_ms $whole NOT NULL,
  detail TEXT NOT NULL,
  recorded INTEGER NOT NULL,
  accepted_ms $whole
);

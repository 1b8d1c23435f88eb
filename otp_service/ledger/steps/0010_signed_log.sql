-- The log over the records: one row. Its origin names it for ever; `first_key` is the verifier key that signed first.
-- Whoever signs locks the row.
CREATE TABLE log (id INTEGER PRIMARY KEY, origin TEXT NOT NULL, first_key TEXT NOT NULL);

-- Tiles of its tree: up to 256 hashes of 32 bytes each. On level 0 they are those of records, as they were signed.
CREATE TABLE log_tiles (
  level INTEGER NOT NULL,
  number $whole NOT NULL,
  hashes $bytes NOT NULL,
  PRIMARY KEY (level, number)
);

-- Signed checkpoints in order. `rotates`: 1 for the last one of a key, which names the next key.
CREATE TABLE log_checkpoints (
  id $serial PRIMARY KEY,
  size $whole NOT NULL,
  note TEXT NOT NULL,
  at_ms $whole NOT NULL,
  rotates INTEGER NOT NULL
);
CREATE INDEX log_checkpoints_size ON log_checkpoints (size);

-- What witnesses said of them. `witness` is the verifier key, `line` the line of the note.
CREATE TABLE log_cosignatures (
  checkpoint $whole NOT NULL,
  witness TEXT NOT NULL,
  line TEXT NOT NULL,
  at_ms $whole NOT NULL,
  PRIMARY KEY (checkpoint, witness)
);
CREATE INDEX log_cosignatures_witness ON log_cosignatures (witness, checkpoint);

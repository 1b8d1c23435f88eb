-- Where checkpoints are sent to (`target`), by several workers: `checkpoint` is the last that arrived there (0: none),
-- `again_ms` when one may try again, `failures` how many tries in a row failed.
CREATE TABLE log_outlets (
  target TEXT PRIMARY KEY,
  checkpoint $whole NOT NULL,
  again_ms $whole NOT NULL,
  failures INTEGER NOT NULL
);

-- Timestamps of others (RFC 3161) over the note of a checkpoint: `response` as it came.
CREATE TABLE log_timestamps (
  checkpoint $whole PRIMARY KEY,
  response $bytes NOT NULL,
  at_ms $whole NOT NULL
);

-- Where a signed log ended and another one began: written in the transaction that ends the log, so that neither is there
-- without the other. `following` is the next log's name; `detail` is what the record says of it, with the notes by which
-- the old log's key says so; `recorded` is 1 once its event is in a stream.
CREATE TABLE log_ends (
  following TEXT PRIMARY KEY,
  at_ms $whole NOT NULL,
  detail TEXT NOT NULL,
  recorded INTEGER NOT NULL
);

-- What each witness cosigned last: one row, however long it has been following. `witness` is the verifier key, `line`
-- the line of the note, `at_ms` when it was handed in.
CREATE TABLE log_witnesses (
  witness TEXT PRIMARY KEY,
  checkpoint $whole NOT NULL,
  line TEXT NOT NULL,
  at_ms $whole NOT NULL
);
INSERT INTO log_witnesses (witness, checkpoint, line, at_ms)
  SELECT witness, checkpoint, line, at_ms FROM log_cosignatures AS one
  WHERE checkpoint = (SELECT MAX(checkpoint) FROM log_cosignatures AS other WHERE other.witness = one.witness);
DROP TABLE log_cosignatures;

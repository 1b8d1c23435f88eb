"""A log that can be proved: its Merkle tree, tiles, signed checkpoints, cosignatures and proofs, and judging them.

Formats are those of RFC 9162 (tree) and C2SP (signed-note, tlog-checkpoint, tlog-tiles, tlog-cosignature, tlog-witness,
tlog-proof), so that programs of others read them. Everything here is pure: no store, no database, no network, no clock.
"""

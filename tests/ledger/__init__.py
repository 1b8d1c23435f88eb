"""The ledger: exporter, records, pages, erasure."""

"""The signed log over a real ledger."""

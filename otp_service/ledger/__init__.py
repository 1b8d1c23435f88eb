"""The ledger: every event of the audit record in an SQL database, in one order, each exactly once.

It knows neither the store nor the API. `exporter` takes events from a source that `storage` implements; `pages` reads
them again.
"""

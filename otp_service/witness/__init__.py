"""A witness of somebody else's audit log, on another machine: it knows neither store, ledger nor keyring of the log.

It follows the log, cosigns each checkpoint that continues the last one, and never cosigns two that contradict each
other, whatever it is shown. What it has to remember for that is written before anybody is told.
"""

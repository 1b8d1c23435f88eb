"""The carrier: everything that knows how Telnyx speaks, and nothing else.

`client` carries requests, `wire` builds them, `answers` reads what comes back, `errors` says what a refusal means,
`signatures` proves that a webhook came from Telnyx and `webhooks` says what it reports.
"""

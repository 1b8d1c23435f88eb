"""The carrier: everything that knows Telnyx's API, and nothing else.

`client` has the operations (`sending`, `messages`, `optouts`, `numbers`), each a few `calls`. `requests` builds what
goes out, `responses` reads what comes back, `errors` says what a refusal means, `exceptions` are what operations raise.
`transport` carries one request over one `connection`. `signatures` proves that a webhook came from Telnyx, and
`webhooks` says what it reports. `gateway` is the carrier as the use cases see it; `check_senders` compares the
configuration with the account.
"""

BASE_URL = "https://api.telnyx.com/v2"
"""The carrier's address, with the version of its API."""

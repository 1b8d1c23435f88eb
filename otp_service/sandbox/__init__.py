"""An emulator of Telnyx's messaging API, and of the phones that receive the messages.

It shares no code with the rest of `otp_service`: an error in one of the two is then found by the other.

Reading order: `server` (starts and stops) → `app` (routes and errors) → `v2_messages` and `send_request` (one
request to send) → `sending`, `senders`, `content` (what is accepted) → `delivery` (what happens afterwards) →
`events` and `webhooks` (what is posted) → `phones` and `inbound` (the person). `seeds` lists what exists at the
start. `chaos` holds the failure settings. `response_faults` and `handler` make a response fail.
"""

"""The other side of the wire: a stand-in for Telnyx's messaging API, and the phones behind it.

It shares no code with the rest of `otp_service`, so that a mistake made once cannot hide on both sides.

Reading order: `server` (how it runs) → `app` (what it serves) → `v2_messages` (one send, with chaos and
idempotency) → `sending` (what is accepted) → `delivery` (what happens to it then) → `webhooks` (who is told)
→ `handsets` and `inbound` (the person). `seeds` says what exists in the beginning, `chaos` how it
misbehaves on request, `wire` and `handler` how an answer gets lost.
"""

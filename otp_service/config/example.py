"""The configuration that `otp-service dev` uses if there is none."""

DEV_TOML = """\
# The configuration of `otp-service dev` if there is none: two senders of one profile, one app.
[senders.pool]
kind = "number_pool"
messaging_profile_id = "abc85f64-5717-4562-b3fc-2c9600000000"
rate_per_s = 50

[senders.backup]
kind = "long_code"
from = "+18445550001"
messaging_profile_id = "abc85f64-5717-4562-b3fc-2c9600000000"
rate_per_s = 50

[apps.default]
brand = "Acme"
route = ["pool", "backup"]
"""

"""otp-service: self-hosted two-factor authentication, with one-time codes sent over Telnyx.

Start reading at `bootstrap/` (how the parts are put together) or in `usecases/` (what the service does).
"""

__version__ = "0.2.0"

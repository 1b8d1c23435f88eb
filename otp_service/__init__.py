"""otp-service: self-hosted two-factor authentication, with one-time codes sent over Telnyx.

Start reading at `bootstrap.py` (where the parts meet) or `usecases/verify.py` (the main story).
"""

__version__ = "0.2.0"

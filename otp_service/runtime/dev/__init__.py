"""`otp-service dev`: every process on one machine, with an embedded store and the sandbox carrier."""

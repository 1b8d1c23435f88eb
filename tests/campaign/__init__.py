"""The fault campaign: real processes under load against seeded faults, and an independent judge at the end."""

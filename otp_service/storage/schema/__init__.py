"""The dictionary of the store: its keys, the fields of its hashes and streams, its timers and its encodings.

Nothing outside this package and the names that it gives to the scripts builds a key, a field name or a packed value.
`keys` has the keys, `fields` the field names and the kinds of timers, `encodings` what is packed into one string.
"""

from .keys import PREFIX, Keys, of_numbers

__all__ = ["PREFIX", "Keys", "of_numbers"]

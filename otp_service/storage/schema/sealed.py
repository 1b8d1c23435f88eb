"""Where the store holds values that a key of the keyring sealed: the one list of them.

A value is one field of a hash, as the text `kid:base64` or in the form of `pieces`. Whoever adds such a field adds a
line here: then `keyring status` counts it, `keyring reseal` carries it over if it lasts, and `keyring retire` waits.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from .fields import Factor, IdempotencyKey, PendingSecret, Secrets
from .keys import word_of


@dataclass(frozen=True, slots=True)
class SealedField:
    """Fields of one kind. `kind`: what they are, in the plural, for people.

    `word` stands in the keys, see `keys.word_of`; `fields` matches whole names of fields, without those of further
    pieces. `lasts`: whether a value stays for so long that it is sealed anew; otherwise it ends with the code, ten
    minutes after its start, or with an enrollment, fifteen minutes after its own.
    """

    kind: str
    word: str
    fields: str
    lasts: bool

    def in_hash(self, key: str, values: Mapping[str, str]) -> list[str]:
        """The names of the fields that are there."""
        if word_of(key) != self.word:
            return []
        return [name for name in values if re.fullmatch(self.fields, name, re.ASCII)]


SEALED = (
    SealedField("pending codes", "secrets", Secrets.BOX, lasts=False),
    SealedField("messages to send", "secrets", f"{Secrets.BODY}[0-9]+", lasts=False),
    SealedField("apps and numbers to be confirmed", "enrollment", PendingSecret.SEALED, lasts=False),
    SealedField("secrets and numbers of factors", "subject", f"[a-z2-7]{{32}}{Factor.SEALED}", lasts=True),
    SealedField("webhooks of the carrier", "webhooks", "[0-9]+-[0-9]+", lasts=False),
    SealedField("answers of checks", "idempotency", IdempotencyKey.BODY, lasts=True),
)

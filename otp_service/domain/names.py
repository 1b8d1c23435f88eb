"""Names that an operator gives: of an app, a sender, a table of the configuration."""

import re

NAME_FORM = "1 to 32 letters, digits, - and _"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}", re.ASCII)


def is_name(text: str) -> bool:
    """Whether the text has the form of a name: `NAME_FORM`, a letter or digit first."""
    return _NAME.fullmatch(text) is not None

"""The answer to a start with `dry_run`."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta

from ...domain.marks import MarkedTest, marked_test
from ...domain.sms_segments import Encoding
from ...usecases.verify import Preview
from .values import Count, ProblemCode, Seconds, SenderKindWord, words

_SENDER = "Who would send, or would have been asked first; null if nobody may."
_TEXT = "The SMS, with a star for each digit of the code; null for a WhatsApp template, and for a test number."


class RefusedBy(msgspec.Struct):
    """Why the start would be refused."""

    code: ProblemCode
    limit: Annotated[str | None, Meta(description="The limit that refuses, as the configuration names it.")]
    retry_after: Annotated[Seconds | None, Meta(description="Null if the same start will never pass by itself.")]


class StartPreview(msgspec.Struct):
    """What a start would do."""

    would: Literal["send", "refuse"]
    sender: Annotated[str | None, Meta(description=_SENDER)]
    kind: SenderKindWord | None
    text: Annotated[str | None, Meta(description=_TEXT)]
    encoding: Annotated[str, words(Encoding)] | None
    segments: Count | None
    refused_by: RefusedBy | None
    test: MarkedTest = UNSET


def start_preview(preview: Preview) -> StartPreview:
    """The preview as callers see it."""
    refusal, sender, size = preview.refusal, preview.sender, preview.size
    return StartPreview(
        would="refuse" if refusal else "send",
        sender=sender.name if sender else None,
        kind=sender.kind if sender else None,
        text=preview.text,
        encoding=size.encoding if size else None,
        segments=size.parts if size else None,
        refused_by=RefusedBy(refusal.code, refusal.limit or None, refusal.retry_after_s) if refusal else None,
        test=marked_test(preview.test),
    )

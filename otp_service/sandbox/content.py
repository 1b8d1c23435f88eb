"""The content of a message: text, media or a WhatsApp body, with its size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from otp_service.sandbox.errors import CarrierError
from otp_service.sandbox.fields import Fields, missing
from otp_service.sandbox.texts import MAX_PARTS, Segments, is_gsm7, measure
from otp_service.sandbox.webhooks import is_web_url
from otp_service.sandbox.whatsapp import render

MAX_MEDIA = 10


@dataclass(frozen=True, slots=True)
class Content:
    """`type` is SMS, MMS or WHATSAPP."""

    type: str
    text: str
    media_urls: tuple[str, ...]
    segments: Segments


def read_content(fields: Fields, *, mms: bool) -> Content:
    """The content of an SMS or MMS request, or a `CarrierError`. Media make an MMS, also if `mms` is false."""
    text = fields.text("text") or ""
    media_urls = fields.texts("media_urls") or ()
    encoding = fields.choice("encoding", ("auto", "gsm7", "ucs2"), "auto")
    if not text and not media_urls:
        raise CarrierError(400, "40316", "A message needs a text or media.", pointer="/text")
    if media_urls and not mms and "type" in fields:
        raise CarrierError(400, "40304", "An SMS cannot carry media.", pointer="/media_urls")
    _check_media(media_urls)
    if encoding == "gsm7" and not is_gsm7(text):
        raise CarrierError(400, "10015", "The text has characters outside GSM-7.", pointer="/text")
    if mms or media_urls:
        return Content("MMS", text, media_urls, Segments(measure(text[:1]).encoding, len(text), 1))
    return Content("SMS", text, (), _sms_segments(text, force_ucs2=encoding == "ucs2"))


def read_whatsapp(fields: Fields) -> tuple[Mapping[str, Any], Content]:
    """The body of a WhatsApp request, and its content as the phone shows it."""
    body = fields.object("whatsapp_message")
    if body is None:
        raise missing("whatsapp_message")
    text = render(body)
    return body, Content("WHATSAPP", text, (), Segments("utf-8", len(text), 1))


def _check_media(urls: Sequence[str]) -> None:
    if len(urls) > MAX_MEDIA or not all(is_web_url(url) for url in urls):
        detail = f"'media_urls' must be at most {MAX_MEDIA} http or https URLs."
        raise CarrierError(400, "40317", detail, pointer="/media_urls")


def _sms_segments(text: str, *, force_ucs2: bool) -> Segments:
    segments = measure(text, force_ucs2=force_ucs2)
    if segments.parts > MAX_PARTS:
        raise CarrierError(400, "40302", f"The text takes more than {MAX_PARTS} parts.", pointer="/text")
    return segments

"""WhatsApp content: validates it and renders the text that the phone shows.

The sandbox does not store templates; any name counts as approved. A template with one text parameter in its body is
rendered like Meta's authentication template. Others list their parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from otp_service.sandbox.errors import CarrierError

TYPES = (
    "audio",
    "document",
    "image",
    "sticker",
    "video",
    "interactive",
    "location",
    "template",
    "reaction",
    "contacts",
    "text",
)
MAX_CODE_CHARS = 15
_POINTER = "/whatsapp_message"


def render(body: Mapping[str, Any]) -> str:
    """The text that the phone shows, or a `CarrierError`."""
    kind = body.get("type")
    if kind not in TYPES:
        raise CarrierError(422, "10032", f"'type' must be one of {', '.join(TYPES)}.", pointer=f"{_POINTER}/type")
    content = body.get(kind)
    if kind == "contacts" and isinstance(content, list):
        return "[contacts]"
    if not isinstance(content, dict):
        raise CarrierError(422, "10004", f"The '{kind}' object is required.", pointer=f"{_POINTER}/{kind}")
    if kind == "template":
        return _template(content)
    if kind == "text":
        text = content.get("body")
        if not isinstance(text, str) or not text:
            raise CarrierError(422, "10004", "'body' is required.", pointer=f"{_POINTER}/text/body")
        return text
    return f"[{kind}]"


def _template(template: Mapping[str, Any]) -> str:
    pointer = f"{_POINTER}/template"
    language = template.get("language")
    named = isinstance(template.get("name"), str) and isinstance(language, dict) and bool(language.get("code"))
    if not named and not isinstance(template.get("template_id"), str):
        raise CarrierError(
            422, "10004", "A template needs 'template_id', or 'name' and 'language.code'.", pointer=pointer
        )
    components = template.get("components")
    components = [] if components is None else components
    if not isinstance(components, list) or not all(isinstance(item, dict) for item in components):
        raise CarrierError(422, "10026", "'components' must be a list of objects.", pointer=f"{pointer}/components")
    body = [text for item in components if item.get("type") == "body" for text in _parameters(item)]
    if len(body) == 1 and len(body[0]) <= MAX_CODE_CHARS:
        return f"{body[0]} is your verification code. For your security, do not share this code."
    name = template.get("name") or template.get("template_id")
    return f"[{name}] {', '.join(body)}".strip()


def _parameters(component: Mapping[str, Any]) -> list[str]:
    parameters = component.get("parameters") or []
    if not isinstance(parameters, list):
        raise CarrierError(422, "10026", "'parameters' must be a list.", pointer=f"{_POINTER}/template/components")
    return [item["text"] for item in parameters if isinstance(item, dict) and isinstance(item.get("text"), str)]

"""QR codes of `otpauth:` addresses, as a page shows them. Nothing is fetched and nothing is stored."""

import base64
import io

import segno

PIXELS = 6
"""Of one module in the PNG."""


def svg(text: str) -> str:
    """An SVG document."""
    out = io.BytesIO()
    _made(text).save(out, kind="svg", scale=PIXELS, xmldecl=False)
    return out.getvalue().decode()


def png(text: str) -> str:
    """A PNG image in base64."""
    out = io.BytesIO()
    _made(text).save(out, kind="png", scale=PIXELS)
    return base64.b64encode(out.getvalue()).decode()


def _made(text: str) -> segno.QRCode:
    return segno.make_qr(text, error="m")

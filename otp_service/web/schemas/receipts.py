"""Receipts: redeeming one, what one says, and the keys that sign them."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ...domain.factors import FactorKind
from ...domain.marks import MarkedTest
from ...domain.receipt import Change
from .check import given
from .forms import E164_FORM, Request, Word, require_ascii
from .values import ChannelWord, MaskedNumber, Time, words

_CHANGES = [change for change in Change if change is not Change.NUMBER_BOUND]
_IAT = "Two seconds before the approval, in Unix seconds: verifiers whose clock is behind take it without leeway."


class RedeemRequest(Request):
    """A receipt to spend. `to`, `sub` and `purpose` are assertions: one of others is invalid here, and is not spent."""

    receipt: Annotated[str, Meta(min_length=1, max_length=4096)]
    to: Annotated[str, Meta(extra_json_schema=E164_FORM)] | UnsetType = UNSET
    sub: Annotated[str, Meta(description="As the reply of the start has it.")] | UnsetType = UNSET
    purpose: Word | UnsetType = UNSET

    def __post_init__(self) -> None:
        """Raise InvalidRequest for a number in foreign digits."""
        require_ascii(given(self.to) or "")


class RedeemedReceipt(msgspec.Struct):
    """The receipt was spent just now.

    `verification_id` and `to` come with that of a code that was sent, `factor_id` with that of another factor.
    """

    redeemed_at: Time
    purpose: str
    sub: str
    verification_id: str | UnsetType = UNSET
    to: MaskedNumber | UnsetType = UNSET
    factor_id: str | UnsetType = UNSET
    test: MarkedTest = UNSET


class ReceiptClaims(msgspec.Struct):
    """What a receipt says: the payload of a compact JWS (RFC 7515) with `alg` EdDSA (RFC 8037), `typ` otp-receipt+jwt
    and `kid`, the id of the key in /.well-known/jwks.json that signed it.

    Verify signature, `iss`, `aud` and `exp`; compare `sub` with that of the start's reply, and `purpose`.
    """

    iss: Annotated[str, Meta(description="The issuer as configured: the public URL unless another is given.")]
    aud: Annotated[str, Meta(description="The app whose API key started and checked the verification.")]
    sub: Annotated[
        str,
        Meta(
            description="Who was verified: a keyed hash, different for each app. Of the subject if one was named, else "
            "of the number. As in the start."
        ),
    ]
    iat: Annotated[int, Meta(description=_IAT)]
    exp: Annotated[int, Meta(description="`iat` + 120: until then it can be spent.")]
    jti: Annotated[str, Meta(description="The receipt's own id.")]
    purpose: Annotated[str, Meta(description="What the start was for.")]
    amr: Annotated[
        list[str],
        Meta(
            description="RFC 8176: `otp` and, for the channel `sms`, `sms`, unless nothing was sent (`test`). There "
            "is no word for WhatsApp, nor for recovery codes, which are passwords for one use, too."
        ),
    ]
    context_hash: Annotated[
        str | None,
        Meta(
            description="Null without a context. Else the SHA-256, in hex, over its members in order of their names: "
            "for each its name and its value in UTF-8, each led by its length as four bytes, the highest first."
        ),
    ]
    verification_id: (
        Annotated[str, Meta(description="The verification that was approved, if a code was sent.")] | UnsetType
    ) = UNSET
    channel: (
        Annotated[ChannelWord, Meta(description="The channel that the start, or its last repeat, asked for.")]
        | UnsetType
    ) = UNSET
    factor_id: Annotated[str, Meta(description="The factor that was right, if the subject was named.")] | UnsetType = (
        UNSET
    )
    kind: Annotated[str, words(FactorKind), Meta(description="The factor's kind.")] | UnsetType = UNSET
    acr: (
        Annotated[str, Meta(description="What the app's policy of this purpose names, if it names anything.")]
        | UnsetType
    ) = UNSET
    change: (
        Annotated[str, words([Change.NUMBER_BOUND]), Meta(description="If the approval bound the number.")] | UnsetType
    ) = UNSET
    test: MarkedTest = UNSET


class FactorChangeClaims(msgspec.Struct):
    """What the receipt of a change says: the payload of a compact JWS (RFC 7515) with `alg` EdDSA (RFC 8037), `typ`
    otp-factor-change+jwt and `kid`, the id of the key in /.well-known/jwks.json that signed it.

    It comes with the confirmation of an authenticator app, with new recovery codes, and in the header
    `Factor-Receipt` with the removal of a factor. It cannot be spent. That of an approval which binds a number is the
    approval's own, and has `change` `number_bound`.
    """

    iss: Annotated[str, Meta(description="The issuer as configured: the public URL unless another is given.")]
    aud: Annotated[str, Meta(description="The app whose API key made the change.")]
    sub: Annotated[str, Meta(description="The subject: a keyed hash, as in the receipts of its approvals.")]
    iat: Annotated[int, Meta(description="Two seconds before the change, in Unix seconds.")]
    exp: Annotated[int, Meta(description="`iat` + 120.")]
    jti: Annotated[str, Meta(description="The receipt's own id.")]
    change: Annotated[str, words(_CHANGES), Meta(description="What has changed.")]
    factor_id: Annotated[str, Meta(description="The factor that was added or removed, or the new recovery codes.")]
    kind: Annotated[str, words(FactorKind), Meta(description="The factor's kind.")]


class Jwk(msgspec.Struct):
    """A public key (RFC 7517, RFC 8037). Find it by the `kid` of a receipt's header."""

    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    alg: Literal["EdDSA"]
    use: Literal["sig"]
    kid: str
    x: Annotated[str, Meta(description="The 32 bytes of the key in base64url without padding.")]


class Jwks(msgspec.Struct):
    """The keys of the receipts (RFC 7517)."""

    keys: list[Jwk]

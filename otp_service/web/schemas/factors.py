"""Second factors: what callers ask for, and what they are shown. A secret and a recovery code are shown once."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ...clock import rfc3339
from ...domain import codes
from ...domain.errors import InvalidRequest
from ...domain.factors import Factor as FactorView
from ...domain.factors import FactorKind, FactorStatus, TotpForm, is_label, is_subject
from ...domain.verification import DEFAULT_PURPOSE
from .check import given
from .forms import Context, Request, SubjectText, Word, require_context, require_subject
from .queries import bad_query
from .values import Count, MaskedNumber, Time, words

_Label = Annotated[
    str, Meta(description="For the person: up to 64 printable characters.", extra_json_schema={"maxLength": 64})
]
_CODE_FORM = {"pattern": "^[0-9]{4,10}$"}
_DIGITS = Annotated[str, Meta(description="What the app shows.", examples=["123456"], extra_json_schema=_CODE_FORM)]
_RECEIPT = "A compact JWS (EdDSA) of `FactorChangeClaims`."
KindWord = Annotated[str, words(FactorKind)]


def _require_label(label: str) -> None:
    if not is_label(label):
        raise InvalidRequest("label cannot be shown.", [("/label", "up to 64 printable characters")])


class TotpRequest(Request):
    """Enrol an authenticator app. Most apps support the defaults only."""

    subject: SubjectText
    label: _Label = ""
    algorithm: Literal["SHA1", "SHA256", "SHA512"] = "SHA1"
    digits: Literal[6, 8] = 6
    period: Annotated[Literal[30, 60], Meta(description="Seconds that a code is shown.")] = 30

    def __post_init__(self) -> None:
        """Raise InvalidRequest for what the types alone do not refuse."""
        require_subject(self.subject)
        _require_label(self.label)

    @property
    def form(self) -> TotpForm:
        """How the app computes its codes."""
        return TotpForm(self.algorithm, self.digits, self.period)


class EnrolledTotp(msgspec.Struct):
    """What the person's app needs, shown once. It counts only after its first code was confirmed."""

    factor_id: str
    kind: Literal["totp"]
    status: Literal["pending"]
    secret: Annotated[str, Meta(description="160 bits in base32, for an app that reads no QR code.")]
    uri: Annotated[str, Meta(description="`otpauth:`, as the QR code holds it.")]
    qr_svg: Annotated[str, Meta(description="The QR code as an SVG document.")]
    qr_png: Annotated[str, Meta(description="The QR code as a PNG image, in base64.")]
    confirm_by: Time

    def __repr__(self) -> str:
        return f"EnrolledTotp({self.factor_id}, ...)"


class ConfirmRequest(Request):
    """The first code of an authenticator app."""

    code: _DIGITS

    def __post_init__(self) -> None:
        """Raise InvalidRequest for anything but digits."""
        codes.require_typed(self.code)


class Factor(msgspec.Struct, omit_defaults=True):
    """A factor of a subject."""

    factor_id: str
    kind: KindWord
    label: str
    status: Annotated[str, words(FactorStatus)]
    created_at: Time
    last_used_at: Time | None
    codes_left: Annotated[Count, Meta(description="Of recovery codes.")] | UnsetType = UNSET
    to: MaskedNumber | UnsetType = UNSET
    receipt: Annotated[str, Meta(description=f"{_RECEIPT} In the reply to its confirmation.")] | UnsetType = UNSET


class FactorList(msgspec.Struct):
    """A subject's factors, in order of their making. A subject that is not known has none."""

    factors: list[Factor]


class LabelRequest(Request):
    """Another label for a factor."""

    label: _Label

    def __post_init__(self) -> None:
        """Raise InvalidRequest for a label that cannot be shown."""
        _require_label(self.label)


class FactorCheckRequest(Request):
    """A code of one factor."""

    code: Annotated[str, Meta(description="What the app shows, or a recovery code.", examples=["123456"])]
    given_purpose: Annotated[Word, Meta(description=f"`{DEFAULT_PURPOSE}` unless given.")] | UnsetType = msgspec.field(
        name="purpose", default=UNSET
    )

    context: Context = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raise InvalidRequest for a context without its form."""
        require_context(self.context)

    @property
    def purpose(self) -> str | None:
        """The purpose, if the caller gave one."""
        return given(self.given_purpose)

    @property
    def client_ip(self) -> None:
        """No limit counts it by an address."""

    @property
    def device_id(self) -> None:
        """No limit counts it by a device."""

    @property
    def limit_keys(self) -> Mapping[str, str]:
        """No limit counts it by words."""
        return {}

    @property
    def code_verifier(self) -> None:
        """No factor that has an id was started with a challenge."""
        return


class RecoveryCodesRequest(Request):
    """Whose recovery codes are to be made anew."""

    subject: SubjectText

    def __post_init__(self) -> None:
        """Raise InvalidRequest for a subject without its form."""
        require_subject(self.subject)


class RecoveryCodes(msgspec.Struct):
    """Ten new codes, shown once. Those of before are good no more."""

    factor_id: str
    codes: Annotated[list[str], Meta(description="Each is good once. The case, blanks and hyphens do not count.")]
    receipt: Annotated[str, Meta(description=_RECEIPT)]

    def __repr__(self) -> str:
        return f"RecoveryCodes({self.factor_id}, ...)"


class FactorsQuery(Request):
    """Whose factors GET /factors shows."""

    MUST_BE: ClassVar[dict[str, str]] = {}
    MAX_DIGITS: ClassVar[dict[str, int]] = {}
    REQUIRED: ClassVar[tuple[str, ...]] = ("subject",)

    subject: SubjectText = ""

    def __post_init__(self) -> None:
        """Raise InvalidRequest unless a subject is given."""
        if not is_subject(self.subject):
            raise bad_query("subject", "1 to 128 printable characters")


def shown_factor(view: FactorView) -> Factor:
    """A factor as callers see it."""
    return Factor(
        factor_id=view.factor_id,
        kind=view.kind,
        label=view.label,
        status=view.status,
        created_at=rfc3339(view.created_ms),
        last_used_at=None if view.last_used_ms is None else rfc3339(view.last_used_ms),
        codes_left=UNSET if view.codes_left is None else view.codes_left,
        to=UNSET if view.mask is None else view.mask,
    )

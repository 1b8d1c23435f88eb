"""The request of POST /verify/check. The reply to a right code is `domain.checking.Approval` as it is, or by a subject
`domain.factor_checking.FactorApproval`."""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ...domain import binding, codes
from ...domain.errors import InvalidRequest
from ...domain.verification import DEFAULT_PURPOSE
from .forms import (
    E164_FORM,
    AddressText,
    Context,
    DeviceText,
    LimitKeys,
    Request,
    SubjectText,
    Word,
    read_address,
    require_ascii,
    require_context,
    require_counted,
    require_subject,
)

_PURPOSE = f"By `to` alone, `{DEFAULT_PURPOSE}` unless given."
_VERIFIER = (
    "Of a start with `code_challenge`. Without the right one no code is approved and nobody's tries are used up: two "
    "such checks are `code_incorrect`, then `too_many_wrong_codes`."
)
_VERIFIER_FORM = {"pattern": f"^{binding.VERIFIER}$"}
_CODE_FORM = {"pattern": "^([0-9]{4,10}|[0-9A-Za-z -]{16,40})$"}
_CODE = "4 to 10 ASCII digits. With `subject` also a recovery code."


class CheckRequest(Request):
    """A guess at the verification `verification_id`, or without it at the latest one of `to` and `purpose`, or without
    either at every factor of `subject` that the code can be of.

    Beside `verification_id`, `to` and `purpose` are assertions, and `subject` beside either: a verification of another
    number, purpose or subject is answered as if it did not exist, and costs no try. So a code that was sent to one
    phone never approves another's login.
    """

    code: Annotated[str, Meta(description=_CODE, examples=["123456"], extra_json_schema=_CODE_FORM)]
    given_id: str | UnsetType = msgspec.field(name="verification_id", default=UNSET)
    given_to: (
        Annotated[str, Meta(description="The phone of the person who logs in, in E.164.", extra_json_schema=E164_FORM)]
        | UnsetType
    ) = msgspec.field(name="to", default=UNSET)
    given_purpose: Annotated[Word, Meta(description=_PURPOSE)] | UnsetType = msgspec.field(
        name="purpose", default=UNSET
    )
    given_subject: SubjectText | UnsetType = msgspec.field(name="subject", default=UNSET)
    context: Context = msgspec.field(default_factory=dict)
    given_verifier: Annotated[str, Meta(description=_VERIFIER, extra_json_schema=_VERIFIER_FORM)] | UnsetType = (
        msgspec.field(name="code_verifier", default=UNSET)
    )
    given_client_ip: AddressText | UnsetType = msgspec.field(name="client_ip", default=UNSET)
    given_device_id: DeviceText | UnsetType = msgspec.field(name="device_id", default=UNSET)
    limit_keys: LimitKeys = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raise InvalidRequest for what the types alone do not refuse."""
        # Members that are not there are passed over one by one: every check of a code comes here.
        if self.context:
            require_context(self.context)
        if self.given_client_ip is not UNSET or self.given_device_id is not UNSET or self.limit_keys:
            _ = self.client_ip
            require_counted(self.device_id, self.limit_keys)
        if not isinstance(self.given_verifier, UnsetType):
            binding.require_verifier(self.given_verifier)
        if self.given_id is UNSET and self.given_to is UNSET:
            self._require_subject()
            return
        codes.require_typed(self.code)
        if not isinstance(self.given_to, UnsetType):
            require_ascii(self.given_to)
        if not isinstance(self.given_subject, UnsetType):
            require_subject(self.given_subject)

    def _require_subject(self) -> None:
        # Which form the code must have depends on the subject's factors.
        if self.subject is None:
            codes.require_typed(self.code)
            detail = "Name the verification by verification_id or by to, or the person by subject."
            raise InvalidRequest(detail, [("/verification_id", "give verification_id, or to, or both, or subject")])
        require_subject(self.subject)

    @property
    def client_ip(self) -> str | None:
        """The end user's address in its usual spelling. Raises InvalidRequest."""
        text = self.given_client_ip
        return None if isinstance(text, UnsetType) else read_address(text)

    @property
    def device_id(self) -> str | None:
        """The app's own id of the device, if the caller gave one."""
        return None if isinstance(self.given_device_id, UnsetType) else self.given_device_id

    @property
    def subject(self) -> str | None:
        """The app's own id of the person, if the caller gave one."""
        return None if isinstance(self.given_subject, UnsetType) else self.given_subject

    @property
    def verification_id(self) -> str | None:
        """The id, if the caller gave one."""
        return None if isinstance(self.given_id, UnsetType) else self.given_id

    @property
    def to(self) -> str | None:
        """The number, if the caller gave one."""
        return None if isinstance(self.given_to, UnsetType) else self.given_to

    @property
    def purpose(self) -> str | None:
        """The purpose, if the caller gave one."""
        return None if isinstance(self.given_purpose, UnsetType) else self.given_purpose

    @property
    def code_verifier(self) -> str | None:
        """The verifier of the start's challenge, if the caller gave one."""
        return None if isinstance(self.given_verifier, UnsetType) else self.given_verifier


def given(text: str | UnsetType) -> str | None:
    """The text of a member, or None if the request does not have it."""
    return None if isinstance(text, UnsetType) else text

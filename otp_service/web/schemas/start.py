"""The request of POST /verify/start."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ...domain import binding, message_text, notices
from ...domain.errors import InvalidRequest
from ...domain.verification import DEFAULT_PURPOSE
from .autofill import Autofill
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
    require_legible,
    require_subject,
)

MAX_METADATA = 1024
"""Bytes of the metadata as JSON."""

_RECEIVER = (
    "The phone in E.164. Unassigned and fictitious numbers are `invalid_number`; premium rate, shared cost, toll-free, "
    "personal, UAN, pager, voicemail and satellite numbers are `destination_blocked`, unless the app lists their kind."
)
_CONTEXT = (
    "What the code is bound to; the check must repeat it. `amount` and `payee` stand in the message in full. Where "
    "they cannot, nothing is started: 400 for a text over ten parts (10 x 153 GSM-7 or 10 x 67 UCS-2 characters; 140 "
    "bytes with `android_hash`), 422 `channel_unavailable` for a channel whose template has no room."
)
_LOCALE = "BCP 47. A language that there are no words for, or a text that is no tag, falls back to `en`."
_CHALLENGE = (
    "BASE64URL(SHA256(verifier)) of a random verifier that the caller keeps with the session which asks for the code "
    "(RFC 7636, S256). A check then needs the verifier."
)
_CHALLENGE_FORM = {"pattern": f"^{binding.CHALLENGE}$"}
_DRY_RUN = (
    "Only say what would happen, as 200 `StartPreview`: nothing is queued, sent, counted or recorded, and no "
    "risk hook is asked."
)
_PROOF = (
    "With `subject` and the purpose `bind`: an unspent receipt of the subject, which is spent. It lets a code go to a "
    "number that is not bound to the subject; its approval binds the number."
)
_KNOWN_USER = "The app knows this user, for example by a signed-in session: the start costs the pumping guard half."


class StartRequest(Request):
    """Ask for a code to be sent."""

    to: Annotated[str, Meta(description=_RECEIVER, examples=["+12025550143"], extra_json_schema=E164_FORM)]
    channel: Literal["sms", "whatsapp"] = "sms"
    purpose: Word = DEFAULT_PURPOSE
    locale: Annotated[str, Meta(description=_LOCALE)] = "en"
    context: Annotated[Context, Meta(description=_CONTEXT)] = msgspec.field(default_factory=dict)
    given_client_ip: AddressText | UnsetType = msgspec.field(name="client_ip", default=UNSET)
    given_device_id: DeviceText | UnsetType = msgspec.field(name="device_id", default=UNSET)
    limit_keys: LimitKeys = msgspec.field(default_factory=dict)
    known_user: Annotated[bool, Meta(description=_KNOWN_USER)] = False
    given_subject: SubjectText | UnsetType = msgspec.field(name="subject", default=UNSET)
    given_proof: Annotated[str, Meta(max_length=4096, description=_PROOF)] | UnsetType = msgspec.field(
        name="proof", default=UNSET
    )
    given_autofill: Autofill | UnsetType = msgspec.field(name="autofill", default=UNSET)
    given_challenge: Annotated[str, Meta(description=_CHALLENGE, extra_json_schema=_CHALLENGE_FORM)] | UnsetType = (
        msgspec.field(name="code_challenge", default=UNSET)
    )
    dry_run: Annotated[bool, Meta(description=_DRY_RUN)] = False
    given_metadata: Annotated[dict[str, Any], Meta(description="At most 1 kB, returned as is.")] = msgspec.field(
        name="metadata", default_factory=dict
    )

    def __post_init__(self) -> None:
        """Raise InvalidRequest for what the types alone do not refuse."""
        require_ascii(self.to)
        if not message_text.printable(self.purpose):
            raise InvalidRequest("purpose must be printable.", [("/purpose", "printable characters only")])
        if self.purpose in notices.PURPOSES:
            raise InvalidRequest("The service's own notices have this purpose.", [("/purpose", "another word")])
        # Members that are not there are passed over one by one: every start comes here.
        if self.context:
            require_context(self.context)
            require_legible(self.context)
        if self.given_metadata and len(self.metadata.encode()) > MAX_METADATA:
            raise InvalidRequest("metadata is too large.", [("/metadata", f"at most {MAX_METADATA} bytes as JSON")])
        if self.given_client_ip is not UNSET or self.given_device_id is not UNSET or self.limit_keys:
            _ = self.client_ip
            require_counted(self.device_id, self.limit_keys)
        if not isinstance(self.given_challenge, UnsetType):
            binding.require_challenge(self.given_challenge)
        if not isinstance(self.given_subject, UnsetType):
            require_subject(self.given_subject)
        if isinstance(self.given_autofill, Autofill):
            self.given_autofill.require_form()

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
    def proof(self) -> str | None:
        """A receipt of the subject, if the caller gave one."""
        return None if isinstance(self.given_proof, UnsetType) else self.given_proof

    @property
    def autofill(self) -> str:
        """The form of autofill as JSON; empty if none is wanted."""
        return "" if isinstance(self.given_autofill, UnsetType) else self.given_autofill.text()

    @property
    def code_challenge(self) -> str:
        """The challenge of the verifier that the caller keeps; empty if it has none."""
        return "" if isinstance(self.given_challenge, UnsetType) else self.given_challenge

    @property
    def metadata(self) -> str:
        """The caller's metadata as JSON."""
        return msgspec.json.encode(self.given_metadata).decode() if self.given_metadata else "{}"

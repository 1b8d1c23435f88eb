"""What a caller does next with an answer."""

from dataclasses import dataclass, field
from typing import Any

_ID = "$response.body#/verification_id"


@dataclass(frozen=True)
class Link:
    """An operation that takes what another one gave. `given_by` are operation ids, the values runtime expressions."""

    given_by: tuple[str, ...]
    operation_id: str
    description: str
    parameters: dict[str, str] = field(default_factory=dict)
    body: dict[str, str] = field(default_factory=dict)

    def described(self) -> dict[str, Any]:
        """A Link Object of OpenAPI."""
        found: dict[str, Any] = {"operationId": self.operation_id, "description": self.description}
        if self.parameters:
            found["parameters"] = self.parameters
        if self.body:
            found["requestBody"] = self.body
        return found


LINKS = {
    "follow": Link(
        ("startVerification",),
        "getVerification",
        "See what became of the message, with `wait` as soon as it changes.",
        parameters={"verification_id": _ID},
    ),
    "cancel": Link(
        ("startVerification", "getVerification"),
        "cancelVerification",
        "Withdraw the code.",
        parameters={"verification_id": _ID},
    ),
    "redeem": Link(
        ("checkVerification",),
        "redeemReceipt",
        "Spend the receipt.",
        body={"receipt": "$response.body#/receipt"},
    ),
}

"""One example of each body, by the name of its type. Every one passes its schema."""

from typing import Any

_SERVER = "https://otp.example"
_ID, _DELIVERY = "vrf_01k2m3n4p5q6r7s8t9v0w1x2y3", "dlv_01k2m3n4p5q6r7s8t9v0w1x2y3_1"
_MASK, _SUB = "+1******0143", "u_6q2m4n8r1t5v9x3z7b0d4f8h2k"
_FACTOR = "fac_mfrggzdfmztwq2lknnwg23tpobyxe43u"
_STARTED_AT, _APPROVED_AT = "2026-01-31T12:00:00.000Z", "2026-01-31T12:00:41.250Z"
_PROFILE = "abc85f64-5717-4562-b3fc-2c9600000000"
_RECEIPT = "eyJhbGciOiJFZERTQSJ9.eyJqdGkiOiJyY3BfMSJ9.c2lnbmF0dXJl"

_DELIVERY_OBJECT: dict[str, Any] = {
    "delivery_id": _DELIVERY,
    "sender": "pool",
    "kind": "number_pool",
    "status": "delivered",
    "carrier_status": "delivered",
    "error": None,
    "queued_at": _STARTED_AT,
    "updated_at": "2026-01-31T12:00:02.120Z",
}
_VERIFICATION: dict[str, Any] = {
    "verification_id": _ID,
    "status": "pending",
    "to": _MASK,
    "sub": _SUB,
    "channel": "sms",
    "purpose": "login",
    "created_at": _STARTED_AT,
    "expires_at": "2026-01-31T12:05:00.000Z",
    "expires_in": 300,
    "checks_left": 5,
    "sends_left": 3,
    "resend_in": 30,
    "deliveries": [_DELIVERY_OBJECT],
    "metadata": {"cart": "c-17"},
    "version": 4,
}
_FACTOR_OBJECT: dict[str, Any] = {
    "factor_id": _FACTOR,
    "kind": "totp",
    "label": "Phone",
    "status": "active",
    "created_at": _STARTED_AT,
    "last_used_at": None,
}
_TIMELINE: list[dict[str, Any]] = [
    {"event": "verification.started", "at": _STARTED_AT, "delivery_id": None, "detail": {}},
    {"event": "delivery.delivered", "at": "2026-01-31T12:00:02.120Z", "delivery_id": _DELIVERY, "detail": {}},
]
_CAUSE = {"key_id": "key_1", "request_id": "req_1", "address": None}

PARAMETERS = {"verification_id": _ID, "delivery_id": _DELIVERY, "number": "+12025550143", "wait": 25}
"""An example of each path parameter, and of some in queries."""

BY_TYPE: dict[str, Any] = {
    "StartRequest": {"to": "+12025550143", "client_ip": "203.0.113.7", "metadata": {"cart": "c-17"}},
    "StartPreview": {
        "would": "refuse",
        "sender": "pool",
        "kind": "number_pool",
        "text": "****** is your Acme code. It expires in 5 minutes. Do not share it. Not you? Reply NO. "
        "Reply STOP to opt out.",
        "encoding": "GSM-7",
        "segments": 1,
        "refused_by": {"code": "rate_limited", "limit": "service.sends_per_number", "retry_after": 412},
    },
    "StartedVerification": {**_VERIFICATION, "watch_token": "wt_mfrggzdfmztwq2lknnwg23tpob"},
    "Verification": {**_VERIFICATION, "status": "canceled", "expires_in": 0, "resend_in": None},
    "VerificationWithTimeline": {**_VERIFICATION, "timeline": _TIMELINE},
    "CheckRequest": {"verification_id": _ID, "to": "+12025550143", "code": "123456"},
    "Approval": {
        "verification_id": _ID,
        "status": "approved",
        "approved_at": _APPROVED_AT,
        "to": _MASK,
        "purpose": "login",
        "channel": "sms",
        "sub": _SUB,
        "receipt": _RECEIPT,
    },
    "FactorApproval": {
        "status": "approved",
        "approved_at": _APPROVED_AT,
        "kind": "recovery_code",
        "purpose": "login",
        "sub": _SUB,
        "receipt": _RECEIPT,
        "factor_id": _FACTOR,
        "codes_left": 9,
    },
    "TotpRequest": {"subject": "user-17", "label": "Phone"},
    "EnrolledTotp": {
        "factor_id": _FACTOR,
        "kind": "totp",
        "status": "pending",
        "secret": "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP",
        "uri": "otpauth://totp/Acme:Phone?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Acme",
        "qr_svg": "<svg></svg>",
        "qr_png": "iVBORw0KGgo=",
        "confirm_by": "2026-01-31T12:15:00.000Z",
    },
    "ConfirmRequest": {"code": "123456"},
    "Factor": _FACTOR_OBJECT,
    "FactorList": {"factors": [_FACTOR_OBJECT]},
    "LabelRequest": {"label": "Old phone"},
    "FactorCheckRequest": {"code": "123456"},
    "RecoveryCodesRequest": {"subject": "user-17"},
    "RecoveryCodes": {"factor_id": _FACTOR, "codes": ["7G4K-W2QX-9DMB-T05C"], "receipt": _RECEIPT},
    "FactorChangeClaims": {
        "iss": _SERVER,
        "aud": "default",
        "sub": _SUB,
        "iat": 1769860841,
        "exp": 1769860961,
        "jti": "rcp_2",
        "change": "factor_added",
        "factor_id": _FACTOR,
        "kind": "totp",
    },
    "RedeemRequest": {"receipt": _RECEIPT, "to": "+12025550143", "purpose": "login"},
    "RedeemedReceipt": {
        "verification_id": _ID,
        "redeemed_at": "2026-01-31T12:00:43.000Z",
        "to": _MASK,
        "purpose": "login",
        "sub": _SUB,
    },
    "ReceiptClaims": {
        "iss": _SERVER,
        "aud": "default",
        "sub": _SUB,
        "iat": 1769860841,
        "exp": 1769860961,
        "jti": "rcp_1",
        "verification_id": _ID,
        "purpose": "login",
        "channel": "sms",
        "amr": ["otp", "sms"],
        "context_hash": None,
    },
    "Jwks": {
        "keys": [
            {
                "kty": "OKP",
                "crv": "Ed25519",
                "alg": "EdDSA",
                "use": "sig",
                "kid": "2026-01",
                "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
            }
        ]
    },
    "OptOuts": {
        "to": _MASK,
        "profiles": [
            {
                "messaging_profile_id": _PROFILE,
                "opted_out": True,
                "keyword": "STOP",
                "since": _STARTED_AT,
                "source": "inbound",
            }
        ],
    },
    "PersonStanding": {
        "to": _MASK,
        "at": _STARTED_AT,
        "blocks": [
            {
                "code": "too_many_wrong_codes",
                "app": "default",
                "purpose": None,
                "limit": "wrong_codes_per_number",
                "messaging_profile_id": None,
                "retry_after": 3600,
                "lift": "lock",
            }
        ],
        "apps": [
            {
                "app": "default",
                "optouts": [],
                "limits": [
                    {
                        "name": "wrong_codes_per_number",
                        "limit": 20,
                        "per": 86400,
                        "used": 20,
                        "mode": "enforce",
                        "retry_after": 3600,
                        "purpose": None,
                    }
                ],
                "guard": {
                    "state": "counted",
                    "known_until": None,
                    "blocks": [{"name": "block_1k", "used": 2.5, "limit": 5}],
                    "refused_by": None,
                },
                "verifications": [],
            }
        ],
    },
    "LiftRequest": {"what": "lock", "reason": "Ticket 4711"},
    "Lifted": {"lifted": ["wrong_codes_per_number", "service.wrong_codes_per_number"]},
    "Cosigned": {
        "key": "witness.example+5b6a1f5e+BAyzV9cYyf6LkHn4Jr0Qm2EwZt8sXpB1uDoGvC3iTq7K",
        "checkpoint": "otp.example/audit\n1204\nnMyfUC0uIQC9wqBiyGqDKQfb7Wd7hUxdyEyLx8ZFkZo=\n\n— witness.example …\n",
    },
    "Witnessed": {"witness": "witness.example", "size": 1204},
    "LogKeys": {
        "first_key": "otp.example/audit+1c75ba5b+AQrLzB0oYx3v6uE8kGm4tFhQpW2sNd7iCjXeVlA5R9yZ",
        "rotations": [
            "otp.example/audit\n1204\nnMyfUC0uIQC9wqBiyGqDKQfb7Wd7hUxdyEyLx8ZFkZo=\n"
            "next-key otp.example/audit+f3a08cab+AUpC6oF7ryGRyWP0oYMrUxAnBxQ3v5G1xK1pZC0sGQbV\n\n"
            "— otp.example/audit "
            "KHW6W3Yx3NLfS0zV6yqPb1JYl2z4bFqX0m7n1C8kqv6p0w7gGz5M2u3cYH9d5oN4i0r2tQe1sAjLxUfKvBwE7aRhGQ==\n"
        ],
    },
    "AuditPage": {
        "events": [
            {
                "seq": "0-1769860800000-0",
                "at": _STARTED_AT,
                "type": "verification.started",
                "app": "default",
                "verification_id": _ID,
                "delivery_id": None,
                "to": _MASK,
                "number_hash": None,
                "by": _CAUSE,
                "policy": "sha256:a4c010e2744c06a6",
                "process": "q7m2x",
                "detail": {},
            }
        ],
        "next_cursor": None,
    },
    "Health": {"status": "ok"},
    "FactorCallbackBody": {
        "type": "factor.added",
        "timestamp": _STARTED_AT,
        "data": {"sub": _SUB, "factor_id": _FACTOR, "kind": "totp"},
    },
    "CallbackBody": {
        "type": "delivery.delivered",
        "timestamp": _STARTED_AT,
        "data": {**_VERIFICATION, "timeline": _TIMELINE},
    },
    "Problem": {
        "type": f"{_SERVER}/docs#code_incorrect",
        "title": "The code is not right",
        "status": 422,
        "detail": "The code is not right. 4 tries are left.",
        "instance": "req_1",
        "code": "code_incorrect",
        "checks_left": 4,
    },
}


def of_types(server: str) -> dict[str, Any]:
    """The examples with the service's own public URL."""
    shown: dict[str, Any] = _with_server(BY_TYPE, server)
    return shown


def _with_server(part: Any, server: str) -> Any:
    if isinstance(part, dict):
        return {name: _with_server(member, server) for name, member in part.items()}
    if isinstance(part, list):
        return [_with_server(member, server) for member in part]
    return part.replace(_SERVER, server) if isinstance(part, str) else part

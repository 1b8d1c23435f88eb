"""Second factors of a subject: enrolling, confirming, judging, listing and removing them.

Each use case is one atomic step in the store, between pure preparation and pure translation. A secret is opened only to
judge a code, and only in the process that judges it.
"""

from .check import CheckFactors, FactorRequest
from .enroll import Confirmation, ConfirmedTotp, ConfirmTotp, EnrolledTotp, EnrollTotp, TotpRequest
from .factors import FactorUseCases
from .manage import ManageFactors
from .recovery_codes import NewRecoveryCodes, ReplaceCodes

__all__ = [
    "CheckFactors",
    "ConfirmTotp",
    "Confirmation",
    "ConfirmedTotp",
    "EnrollTotp",
    "EnrolledTotp",
    "FactorRequest",
    "FactorUseCases",
    "ManageFactors",
    "NewRecoveryCodes",
    "ReplaceCodes",
    "TotpRequest",
]

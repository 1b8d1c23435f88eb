"""The country of a number, as far as the carrier's rules depend on it.

This does not validate subscriber numbers. Every length that E.164 allows is accepted, except in North America (+1),
where a number has exactly ten digits and its area code does not begin with 0 or 1.
"""

from __future__ import annotations

import re

E164 = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
SHORT_CODE = re.compile(r"[1-9][0-9]{4,5}", re.ASCII)
ALPHANUMERIC = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11}", re.ASCII)


def _split(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NANP = re.compile(r"\+1[2-9][0-9]{9}", re.ASCII)
_TOLL_FREE = _split("800 833 844 855 866 877 888")
_CANADA = _split(
    "204 226 236 249 250 257 263 289 306 343 354 365 367 368 382 403 416 418 428 431 437 438 450 468 474 506"
    " 514 519 548 579 581 584 587 604 613 639 647 672 683 705 709 742 753 778 780 782 807 819 825 867 873 879"
    " 902 905 942"
)
_PUERTO_RICO = _split("787 939")
_ELSEWHERE_IN_NANP = _split(
    "242 246 264 268 284 340 345 441 473 649 658 664 670 671 684 721 758 767 784 809 829 849 868 869 876"
)
# The calling codes that the ITU has assigned to countries; satellite and other global codes take no SMS here.
_CALLING_CODES = _split(
    "1 7 20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66 81"
    " 82 84 86 90 91 92 93 94 95 98 211 212 213 216 218 220 221 222 223 224 225 226 227 228 229 230 231 232 233"
    " 234 235 236 237 238 239 240 241 242 243 244 245 246 248 249 250 251 252 253 254 255 256 257 258 260 261"
    " 262 263 264 265 266 267 268 269 290 291 297 298 299 350 351 352 353 354 355 356 357 358 359 370 371 372"
    " 373 374 375 376 377 378 380 381 382 383 385 386 387 389 420 421 423 500 501 502 503 504 505 506 507 508"
    " 509 590 591 592 593 594 595 596 597 598 599 670 672 673 674 675 676 677 678 679 680 681 682 683 685 686"
    " 687 688 689 690 691 692 850 852 853 855 856 880 886 960 961 962 963 964 965 966 967 968 970 971 972 973"
    " 974 975 976 977 992 993 994 995 996 998"
)


def is_reachable(number: str) -> bool:
    """Whether `number` is an E.164 number of a country that takes messages."""
    if not E164.fullmatch(number):
        return False
    if number.startswith("+1"):
        return bool(_NANP.fullmatch(number))
    return any(number[1 : 1 + width] in _CALLING_CODES for width in (1, 2, 3))


def is_toll_free(number: str) -> bool:
    """Whether `number` is a North American toll-free number."""
    return bool(_NANP.fullmatch(number)) and number[2:5] in _TOLL_FREE


def region(number: str) -> str:
    """`US`, `CA`, `PR`, or `other` for every other place; toll-free numbers count as `US`."""
    if not _NANP.fullmatch(number):
        return "other"
    area = number[2:5]
    if area in _CANADA:
        return "CA"
    if area in _PUERTO_RICO:
        return "PR"
    return "other" if area in _ELSEWHERE_IN_NANP else "US"

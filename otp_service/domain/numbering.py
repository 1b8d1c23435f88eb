"""Facts of the numbering plans that the library `phonenumbers` does not know, knows late, or does not tell apart.

North America (country code 1): the plan's administrator assigns area codes. `AREA_CODES` is its list (NANPA, NPA
report of September 2026: the codes in service, and 273, which is assigned to Quebec). An area code that is not in it is
nobody's. A new one is added to its country.

Fictitious numbers: ranges that a regulator keeps for films and books and gives to nobody.

Satellites: ranges that the library takes for mobile, VoIP or fixed lines, and that its sources give to satellites.
"""

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum

from phonenumbers import PhoneNumberType


class Kind(StrEnum):
    """What a number is for."""

    MOBILE = "mobile"
    FIXED_LINE = "fixed_line"
    FIXED_LINE_OR_MOBILE = "fixed_line_or_mobile"
    VOIP = "voip"
    PREMIUM_RATE = "premium_rate"
    SHARED_COST = "shared_cost"
    TOLL_FREE = "toll_free"
    UAN = "uan"
    PAGER = "pager"
    VOICEMAIL = "voicemail"
    PERSONAL = "personal"
    SATELLITE = "satellite"
    NON_GEOGRAPHIC = "non_geographic"
    UNKNOWN = "unknown"


USUAL_KINDS = frozenset({Kind.MOBILE, Kind.FIXED_LINE, Kind.FIXED_LINE_OR_MOBILE, Kind.VOIP})
"""Kinds of numbers that people have, and that an app sends to unless it lists others."""

REFUSED_KINDS = frozenset(Kind) - USUAL_KINDS
"""Kinds that cost extra, reach a machine, or reach nobody (premium rate is SMS pumping): refused unless listed."""

EITHER = frozenset({Kind.MOBILE, Kind.FIXED_LINE})
"""What a number of `FIXED_LINE_OR_MOBILE` may be: its plan does not tell (all of North America)."""

LIBRARY_KINDS: Mapping[int, Kind] = {
    PhoneNumberType.FIXED_LINE: Kind.FIXED_LINE,
    PhoneNumberType.MOBILE: Kind.MOBILE,
    PhoneNumberType.FIXED_LINE_OR_MOBILE: Kind.FIXED_LINE_OR_MOBILE,
    PhoneNumberType.TOLL_FREE: Kind.TOLL_FREE,
    PhoneNumberType.PREMIUM_RATE: Kind.PREMIUM_RATE,
    PhoneNumberType.SHARED_COST: Kind.SHARED_COST,
    PhoneNumberType.VOIP: Kind.VOIP,
    PhoneNumberType.PERSONAL_NUMBER: Kind.PERSONAL,
    PhoneNumberType.PAGER: Kind.PAGER,
    PhoneNumberType.UAN: Kind.UAN,
    PhoneNumberType.VOICEMAIL: Kind.VOICEMAIL,
}
"""The library's types in our words. Its `UNKNOWN` is left out: it means that the number is not valid."""

NORTH_AMERICA = 1
"""The country code of the North American plan."""

NO_COUNTRY = "001"
"""The library's region of the numbers of `GLOBAL_CODES`."""

GLOBAL_CODES: Mapping[int, Kind] = {
    800: Kind.TOLL_FREE,
    808: Kind.SHARED_COST,
    870: Kind.SATELLITE,
    878: Kind.PERSONAL,
    881: Kind.SATELLITE,
    882: Kind.SATELLITE,
    883: Kind.SATELLITE,
    888: Kind.NON_GEOGRAPHIC,
    979: Kind.PREMIUM_RATE,
}
"""Country codes that no country owns (ITU-T E.164, list of assigned codes); 882 and 883 also hold other networks."""

_AREA_CODES = {
    "US": """
        201 202 203 205 206 207 208 209 210 212 213 214 215 216 217 218 219 220 223 224 225 227 228 229 231 234 235 239
        240 248 251 252 253 254 256 260 262 267 269 270 272 274 276 279 281 283 301 302 303 304 305 307 308 309 310 312
        313 314 315 316 317 318 319 320 321 323 324 325 326 327 329 330 331 332 334 336 337 339 341 346 347 350 351 352
        353 357 360 361 363 364 369 380 385 386 401 402 404 405 406 407 408 409 410 412 413 414 415 417 419 423 424 425
        430 432 434 435 436 440 442 443 445 447 448 457 458 463 464 465 469 470 471 472 475 478 479 480 483 484 501 502
        503 504 505 507 508 509 510 512 513 515 516 517 518 520 530 531 534 539 540 541 551 557 559 561 562 563 564 567
        570 571 572 573 574 575 580 582 585 586 601 602 603 605 606 607 608 609 610 612 614 615 616 617 618 619 620 621
        623 624 626 628 629 630 631 636 640 641 645 646 650 651 656 657 659 660 661 662 667 669 678 679 680 681 682 686
        689 701 702 703 704 706 707 708 712 713 714 715 716 717 718 719 720 724 725 726 727 728 729 730 731 732 734 737
        738 740 743 747 748 754 757 760 762 763 765 769 770 771 772 773 774 775 779 781 785 786 801 802 803 804 805 806
        808 810 812 813 814 815 816 817 818 820 821 826 828 830 831 832 835 837 838 839 840 843 845 847 848 850 854 856
        857 858 859 860 861 862 863 864 865 870 872 878 901 903 904 906 907 908 909 910 912 913 914 915 916 917 918 919
        920 924 925 928 929 930 931 934 936 937 938 940 941 943 945 947 948 949 951 952 954 956 959 970 971 972 973 975
        978 979 980 983 984 985 986 989
        """,
    "CA": """
        204 226 236 249 250 257 263 273 289 306 343 354 365 367 368 382 403 416 418 428 431 437 438 450 468 474 506 514
        519 548 579 581 584 587 604 613 639 647 672 683 705 709 742 753 778 780 782 807 819 825 867 873 879 902 905 942
        """,
    "AG": "268",
    "AI": "264",
    "AS": "684",
    "BB": "246",
    "BM": "441",
    "BS": "242",
    "DM": "767",
    "DO": "809 829 849",
    "GD": "473",
    "GU": "671",
    "JM": "658 876",
    "KN": "869",
    "KY": "345",
    "LC": "758",
    "MP": "670",
    "MS": "664",
    "PR": "787 939",
    "SX": "721",
    "TC": "649",
    "TT": "868",
    "VC": "784",
    "VG": "284",
    "VI": "340",
}

AREA_CODES: Mapping[str, str] = {code: region for region, codes in _AREA_CODES.items() for code in codes.split()}
"""North American area code → the ISO 3166 country that it belongs to."""

OPEN_REGIONS = frozenset({"US", "CA"})
"""Countries of the plan where any exchange may be in service. Of the others the library lists the exchanges.

The rules of exchanges that follow are for these countries only: others give such exchanges to people (the Dominican
Republic has mobile numbers in 809-959), and no rule holds for toll-free codes."""

_SERVICE_CODES = {
    Kind.PREMIUM_RATE: "900",
    Kind.TOLL_FREE: "800 833 844 855 866 877 888",
    Kind.PERSONAL: "500 521 522 523 524 525 526 527 528 529 532 533 538 542 544 566 577 588",
    Kind.NON_GEOGRAPHIC: "600 622 633 700 710",  # Canadian services, interexchange carriers, the US government
}
SERVICE_CODES: Mapping[str, Kind] = {code: kind for kind, codes in _SERVICE_CODES.items() for code in codes.split()}
"""North American area codes of no place, and what they are for."""

_EXCHANGES = {
    Kind.PREMIUM_RATE: "976",  # pay-per-call services
    Kind.NON_GEOGRAPHIC: "950",  # carriers' own access lines
}
EXCHANGES: Mapping[str, Kind] = {code: kind for kind, codes in _EXCHANGES.items() for code in codes.split()}
"""Exchanges that no area code of `OPEN_REGIONS` gives to people, and what they are for."""

TEST_EXCHANGES = frozenset({"958", "959"})
"""In every area code of `OPEN_REGIONS`: the networks' own tests. Nobody receives a code there."""

DIRECTORY = "5551212"
"""In every area code of `OPEN_REGIONS`: directory assistance, which costs the caller."""

SAMPLE_NUMBER = re.compile(r"\+1[2-9][0-9]{2}55501[0-9]{2}", re.ASCII)
"""555-0100 to 555-0199 in any area code: the plan's fictitious numbers, which the sandbox carrier delivers to."""

SANDBOX_NUMBER = re.compile(r"\+1[2-9][0-9]{2}555[0-9]{4}", re.ASCII)
"""The exchange 555 in any area code: what examples and tests take. The guard leaves it alone with a sandbox."""


def _fictitious() -> Iterator[str]:
    # Ofcom, numbers for drama: blocks of a thousand.
    yield "44(?:11[3-8]496|121496|131496|141496|151496|161496|191498|207946)0[0-9]{3}"
    yield "44(?:2896496|2920180|1632960|7700900|8081570|9098790|3069990)[0-9]{3}"
    # ACMA, numbers for creative works; it holds the mobile block 0491 570 000 to 579 999 itself.
    yield "61(?:[2378](?:5550|7010)|49157)[0-9]{4}"
    # ARCEP, numbers for audiovisual works.
    yield "33(?:19900|26191|35301|46571|53649|63998)[0-9]{4}"
    # Bundesnetzagentur, Mitteilung 148/2021, blocks.
    yield "49(?:3023125|6990009|4066969|2214710|8999998)[0-9]{3}"
    yield "49(?:17139200|176040690)[0-9]{2}"
    # ComReg, numbering conditions of use, numbers for drama.
    yield "353(?:2091[0-9]{5}|890110[0-9]{3})"
    # PTS, numbers for books and films; 070-1740605 to 699.
    yield "46(?:701740(?:60[5-9]|6[1-9][0-9])|(?:8465004|3139006|4062804|9803192)[0-9]{2})"


FICTITIOUS = re.compile(rf"\+(?:{'|'.join(_fictitious())})", re.ASCII)
"""Numbers of other plans that are given to nobody."""


def _satellites() -> Iterator[str]:
    # Plans of the ITU's members as the library's metadata quotes them: mobile satellite services and VSAT.
    yield "5467[05]|5220[01]|6114[57]|84672|90592|212592|2139619|22193|25006|26122|67527[568]|692635"
    # Operators: Globaltel (Globalstar), China Satcom and Tiantong, Byru.
    yield "7954|86(?:1349|1740[0-5])|62868"


SATELLITES = re.compile(rf"\+(?:{'|'.join(_satellites())})", re.ASCII)
"""How the numbers of countries' satellite services begin."""

_LENT = {"+37744": "XK", "+37745": "XK", "+7840": None, "+7940": None}
_LENT_CODES = tuple(_LENT)


def owner(e164: str, region: str | None) -> str | None:
    """The ISO 3166 country of a number that the library gives to `region`; None for one that has no code.

    Kosovo had mobile numbers of Monaco before it had a country code, and Abkhazia has area codes of Russia.
    """
    if e164.startswith(_LENT_CODES):
        return next(owner for code, owner in _LENT.items() if e164.startswith(code))
    return region


_ONE_HANDSET = (
    # Mexico took the 1 before mobile numbers away in August 2019; networks still write it.
    (re.compile(r"\+521([0-9]{10})", re.ASCII), r"+52\1"),
    # Argentina: a mobile number has a 9 in international form and none in domestic form; the other digits are the same.
    (re.compile(r"\+54([123][0-9]{9})", re.ASCII), r"+549\1"),
    # San Marino's lines are reached by Italy's code too.
    (re.compile(r"\+3780549([0-9]{6})", re.ASCII), r"+390549\1"),
)
_TWO_SPELLINGS = ("+521", "+541", "+542", "+543", "+3780549")


def identity(e164: str) -> str:
    """The one name of all spellings that reach the same handset: budgets, opt-outs and reports are kept by it.

    It is not the number to send to.
    """
    if e164.startswith(_TWO_SPELLINGS):
        for spelling, name in _ONE_HANDSET:
            if match := spelling.fullmatch(e164):
                return match.expand(name)
    return e164

"""Draw the pictures of the guides.

`processes.svg` and `states.svg` are drawn from the tables below. The states themselves come from the tables of
`otp_service.domain`, so a state that is added, renamed or ranked anew changes the picture or stops this script; a test
compares the committed files with a new drawing. With `--phones` it also takes `phones.png`: it starts an
`otp-service dev` of its own, sends three codes, and photographs the sandbox's page with Chromium.
"""

import argparse
import html
import json
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from otp_service.domain.delivery import RANK, DeliveryStatus
from otp_service.domain.verification import ENDED_CODE, Status

HERE = Path(__file__).parent
UNIT_X, UNIT_Y, WIDTH, HEIGHT, MARGIN = 216, 84, 164, 52, 18
START_TIMEOUT_S = 60.0
PHONES = ("+12025550143", "+12125550176", "+14155550112")


class Box(NamedTuple):
    """A box at a column and row of the grid. The first line is bold. `kind` chooses the colours."""

    column: float
    row: float
    lines: Sequence[str]
    kind: str = "own"


class Arrow(NamedTuple):
    """An arrow from one box to another, with a label. `both`: a tip at each end."""

    start: str
    end: str
    label: str = ""
    both: bool = False


class Picture(NamedTuple):
    """One drawing. `texts` are headings: column, row, words. `about` is read to those who do not see it."""

    title: str
    about: str
    boxes: Mapping[str, Box]
    arrows: Sequence[Arrow]
    texts: Sequence[tuple[float, float, str]] = ()


# ---- the processes --------------------------------------------------------------------------------------------------

PROCESSES = Picture(
    "The processes and what they send to one another",
    "A login flow calls the API. API and worker share one Redis or Valkey. The worker sends through Telnyx, or through "
    "the sandbox, which delivers to the phone. Signed webhooks come back to the API. The worker also posts callbacks "
    "to the app.",
    {
        "login": Box(0, 0, ("Login flow", "your backend"), "other"),
        "security": Box(0, 1.5, ("Security team",), "other"),
        "app": Box(0, 3, ("App's endpoint", "your backend"), "other"),
        "api": Box(1.5, 0, ("otp-service serve", "API, any number")),
        "store": Box(1.5, 1.5, ("Redis or Valkey", "state, queues, audit"), "store"),
        "worker": Box(1.5, 3, ("otp-service worker", "deliveries, callbacks")),
        "carrier": Box(3, 1.5, ("Telnyx", "or otp-service sandbox"), "other"),
        "phone": Box(3, 3, ("Phone",), "other"),
    },
    (
        Arrow("login", "api", "start, check"),
        Arrow("security", "api", "audit events"),
        Arrow("worker", "app", "callbacks"),
        Arrow("api", "store", "one script a step"),
        Arrow("worker", "store", "outbox, timers"),
        Arrow("worker", "carrier", "send"),
        Arrow("carrier", "api", "signed webhooks"),
        Arrow("carrier", "phone", "SMS"),
    ),
)

# ---- the states -----------------------------------------------------------------------------------------------------

ENDINGS: Mapping[Status, tuple[str, str]] = {
    Status.APPROVED: ("the right code", "good"),
    Status.EXHAUSTED: ("the last wrong code", "end"),
    Status.EXPIRED: ("its time is over", "end"),
    Status.CANCELED: ("by the caller", "end"),
    Status.DENIED: ("“that was not me”", "end"),
}
"""How each end of a verification comes about, in the order in which they are drawn."""

DELIVERIES: Mapping[DeliveryStatus, Box] = {
    DeliveryStatus.QUEUED: Box(0, 4.3, ("queued",), "start"),
    DeliveryStatus.SENDING: Box(1, 4.3, ("sending", "the request is open")),
    DeliveryStatus.UNKNOWN: Box(1, 5.6, ("unknown", "the response was lost")),
    DeliveryStatus.SENT: Box(2, 4.3, ("sent", "accepted by the carrier")),
    DeliveryStatus.SUPPRESSED: Box(1, 2.9, ("suppressed", "opt-out or policy"), "end"),
    DeliveryStatus.EXPIRED: Box(2, 2.9, ("expired", "the code ran out first"), "end"),
    DeliveryStatus.UNCONFIRMED: Box(3.3, 4.3, ("unconfirmed", "no report came"), "end"),
    DeliveryStatus.FAILED: Box(3.3, 5.6, ("failed", "refused, or by a report"), "end"),
    DeliveryStatus.DELIVERED: Box(3.3, 2.9, ("delivered", "by a report"), "good"),
}
MOVES = (
    Arrow("queued", "sending"),
    Arrow("queued", "suppressed"),
    Arrow("queued", "expired"),
    Arrow("sending", "suppressed"),
    Arrow("sending", "expired"),
    Arrow("sending", "sent"),
    Arrow("sending", "failed"),
    Arrow("sending", "unknown", both=True),
    Arrow("unknown", "sent"),
    Arrow("unknown", "unconfirmed"),
    Arrow("sent", "delivered"),
    Arrow("sent", "failed"),
    Arrow("sent", "unconfirmed"),
)
"""The usual moves of a delivery. Reports come in any order, so a move may also skip states; it never goes back."""


def may_move(start: str, end: str) -> bool:
    """Whether the ranks of the domain allow this move: upwards, or between the two states of one rank."""
    low, high = RANK[DeliveryStatus(start)], RANK[DeliveryStatus(end)]
    return low < high or (low == high == RANK[DeliveryStatus.SENDING])


def order_of_ranks() -> str:
    """`delivered > failed > …`: the states by rank, highest first, those of one rank separated by a comma."""
    ranks = sorted(set(RANK.values()), reverse=True)
    return " > ".join(", ".join(state for state in RANK if RANK[state] == rank) for rank in ranks)


def states() -> Picture:
    """The states of both, from the domain's tables. Raises KeyError or ValueError where a table here does not fit."""
    endings = [ending for ending in ENDINGS if ENDED_CODE[ending]]
    if {*endings, Status.PENDING} != set(Status) or set(DELIVERIES) != set(RANK):
        raise ValueError("the tables of draw.py and of the domain name different states")
    for arrow in MOVES:
        if not may_move(arrow.start, arrow.end) or (arrow.both and not may_move(arrow.end, arrow.start)):
            raise ValueError(f"the domain's ranks do not allow {arrow.start} -> {arrow.end}")
    step = max(box.column for box in DELIVERIES.values()) / (len(endings) - 1)
    boxes = {"pending": Box(step * (len(endings) - 1) / 2, 0.35, ("pending",), "start")}
    for number, ending in enumerate(endings):
        words, kind = ENDINGS[ending]
        boxes[str(ending)] = Box(step * number, 1.5, (str(ending), words), kind)
    # A verification and a delivery may both be called `expired`.
    boxes |= {f"delivery {state}": box for state, box in DELIVERIES.items()}
    arrows = [Arrow("pending", ending) for ending in endings]
    arrows += [arrow._replace(start=f"delivery {arrow.start}", end=f"delivery {arrow.end}") for arrow in MOVES]
    return Picture(
        "The states of a verification and of a delivery",
        f"A verification is pending, and ends as {', '.join(endings)}. "
        + " ".join(f"A delivery moves from {arrow.start} to {arrow.end}." for arrow in MOVES)
        + f" A delivery may skip states and never moves back: {order_of_ranks()}.",
        boxes,
        arrows,
        (
            (0, 0.1, "Verification"),
            (0, 2.65, "Delivery"),
            (0, 6.55, "A delivery may skip states and never moves back:"),
            (0, 6.82, order_of_ranks()),
        ),
    )


# ---- drawing --------------------------------------------------------------------------------------------------------

COLOURS = {
    "own": ("#dbeafe", "#1e40af"),
    "store": ("#ede9fe", "#5b21b6"),
    "other": ("#f3f4f6", "#374151"),
    "start": ("#dbeafe", "#1e40af"),
    "good": ("#dcfce7", "#166534"),
    "end": ("#f3f4f6", "#374151"),
}
"""Fill and ink by kind. Each pair has a contrast of at least 7 to 1; the ground is white on every page."""
LINE, INK = "#6b7280", "#374151"
_BOLD, _SIZE = ' font-weight="600"', ' font-size="12"'


def draw(picture: Picture) -> str:
    """The SVG of boxes on a grid and straight arrows between them."""
    boxes = picture.boxes
    bottom = max([*(box.row + 1 for box in boxes.values()), *(row + 0.45 for _, row, _ in picture.texts)])
    width = MARGIN * 2 + max(box.column for box in boxes.values()) * UNIT_X + WIDTH
    height = MARGIN * 2 + (bottom - 1) * UNIT_Y + HEIGHT
    return (
        "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" role="img" '
                'aria-labelledby="title about" font-family="system-ui, sans-serif" font-size="14">',
                f'<title id="title">{html.escape(picture.title)}</title>',
                f'<desc id="about">{html.escape(picture.about)}</desc>',
                '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" '
                f'orient="auto-start-reverse"><path d="M0 0 8 4 0 8z" fill="{LINE}"/></marker></defs>',
                f'<rect width="{width:.0f}" height="{height:.0f}" rx="10" fill="#ffffff"/>',
                *(_text(*text) for text in picture.texts),
                *_arrows(boxes, picture.arrows),
                *(_box(box) for box in boxes.values()),
                "</svg>",
            ]
        )
        + "\n"
    )


def _corner(column: float, row: float) -> tuple[float, float]:
    return MARGIN + column * UNIT_X, MARGIN + row * UNIT_Y


def _text(column: float, row: float, words: str) -> str:
    x, y = _corner(column, row)
    return f'<text x="{x:.0f}" y="{y:.0f}" fill="{INK}">{html.escape(words)}</text>'


def _box(box: Box) -> str:
    x, y = _corner(box.column, box.row)
    fill, ink = COLOURS[box.kind]
    first = y + HEIGHT / 2 - (len(box.lines) - 1) * 9 + 5
    words = "".join(
        f'<text x="{x + WIDTH / 2:.0f}" y="{first + 18 * number:.0f}" text-anchor="middle" fill="{ink}"'
        f"{_SIZE if number else _BOLD}>{html.escape(line)}</text>"
        for number, line in enumerate(box.lines)
    )
    return (
        f'<g><rect x="{x:.0f}" y="{y:.0f}" width="{WIDTH}" height="{HEIGHT}" rx="8" fill="{fill}" stroke="{ink}"/>'
        f"{words}</g>"
    )


def _arrows(boxes: Mapping[str, Box], arrows: Iterable[Arrow]) -> Iterable[str]:
    for arrow in arrows:
        start, end = boxes[arrow.start], boxes[arrow.end]
        (x1, y1), (x2, y2) = _edge(start, end), _edge(end, start)
        tail = ' marker-start="url(#tip)"' if arrow.both else ""
        yield (
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{LINE}"{tail} '
            'marker-end="url(#tip)"/>'
        )
        if arrow.label:
            yield (
                f'<text x="{(x1 + x2) / 2:.1f}" y="{(y1 + y2) / 2 - 5:.1f}" text-anchor="middle" font-size="12" '
                f'fill="{INK}" stroke="#ffffff" stroke-width="4" paint-order="stroke">{html.escape(arrow.label)}</text>'
            )


def _edge(box: Box, towards: Box) -> tuple[float, float]:
    """Where the line between the centres of two boxes leaves the first one."""
    x, y = (corner + size / 2 for corner, size in zip(_corner(box.column, box.row), (WIDTH, HEIGHT), strict=True))
    dx, dy = (towards.column - box.column) * UNIT_X, (towards.row - box.row) * UNIT_Y
    share = min(WIDTH / 2 / abs(dx) if dx else 9.0, HEIGHT / 2 / abs(dy) if dy else 9.0)
    return x + dx * share, y + dy * share


def drawings() -> Mapping[str, str]:
    """The drawn pictures by file name."""
    return {"processes.svg": draw(PROCESSES), "states.svg": draw(states())}


# ---- the screenshot -------------------------------------------------------------------------------------------------


def photograph(path: Path) -> None:
    """Take a picture of the sandbox's page with messages on three phones. Needs Chromium."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        raise SystemExit("draw.py: --phones needs chromium on the PATH")
    with tempfile.TemporaryDirectory() as directory:
        state = Path(directory, "state")
        command = [
            sys.executable,
            "-m",
            "otp_service",
            "dev",
            "--dir",
            str(state),
            "--port",
            "0",
            "--sandbox-port",
            "0",
        ]
        service = subprocess.Popen(command, cwd=directory, stdout=subprocess.DEVNULL)
        try:
            env = _wait_for(state / "env")
            _use_the_phones(env)
            options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"]
            options += ["--disable-background-networking", "--window-size=860,560", "--timeout=4000"]
            options += [f"--user-data-dir={directory}/profile", f"--screenshot={path}", f"{env['SANDBOX_URL']}/"]
            subprocess.run(
                [browser, *options], check=True, timeout=60, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
            )
        finally:
            service.terminate()
            service.wait()


def _wait_until(done: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not done():
        if time.monotonic() > deadline:
            raise SystemExit(f"draw.py: waited in vain for {what}")
        time.sleep(0.1)


def _wait_for(path: Path) -> dict[str, str]:
    _wait_until(path.exists, "the start of otp-service dev")
    return dict(line.split("=", 1) for line in path.read_text(encoding="utf-8").splitlines())


def _use_the_phones(env: Mapping[str, str]) -> None:
    for number in PHONES:
        _post(f"{env['OTP_URL']}/verify/start", {"to": number}, env["OTP_API_KEY"])
    _wait_until(lambda: all(_received(env, number) >= 1 for number in PHONES), "a code on each phone")
    _post(f"{env['SANDBOX_URL']}/sandbox/phones/{PHONES[-1]}/messages", {"to": "+18445550001", "text": "STOP"})
    _wait_until(lambda: _received(env, PHONES[-1]) >= 2, "the carrier's confirmation of STOP")


def _received(env: Mapping[str, str], number: str) -> int:
    url = f"{env['SANDBOX_URL']}/sandbox/phones/{urllib.parse.quote(number)}/messages"
    with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310 - our own address
        return len(json.load(response)["messages"])


def _post(url: str, body: object, key: str = "") -> None:
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)  # noqa: S310 - our own addresses
    urllib.request.urlopen(request, timeout=10).close()  # noqa: S310


def main() -> None:
    """Write the pictures beside this file."""
    parser = argparse.ArgumentParser(description="Draw the pictures of the guides into the folder of this script.")
    parser.add_argument("--phones", action="store_true", help="also photograph the sandbox's page (needs Chromium)")
    args = parser.parse_args()
    for name, text in drawings().items():
        (HERE / name).write_text(text, encoding="utf-8")
    if args.phones:
        photograph(HERE / "phones.png")


if __name__ == "__main__":
    main()

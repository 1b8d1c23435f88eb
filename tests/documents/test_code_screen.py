"""The guide's code screen in a real browser: it survives lost requests, and ends when it should."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from .reading import DOCS, blocks

PAGE = """<!doctype html><meta charset="utf-8"><title>screen</title><pre id="told"></pre><script type="module">
const otp = "https://otp.example", id = "vrf_1", watchToken = "wt_1";
const say = (status, version, headers = {}) => new Response(JSON.stringify({ status, version }), { headers });
async function follow(last) {
  const told = [];
  const show = (seen) => told.push(seen.status + seen.version);
  const answers = [
    () => Promise.reject(new TypeError("lost")),
    () => say("pending", 1),
    () => new Response("{", { status: 200 }),
    () => new Response("{}", { status: 503, headers: { "Retry-After": "1" } }),
    () => say("pending", 2, { "Retry-After": "1" }),
    () => last,
  ];
  window.fetch = async (url, options) => {
    if (options.headers.Authorization !== "Bearer wt_1") throw new Error("no token");
    told.push(url.split("after=")[1]);
    return answers.shift()();
  };
  LOOP
  return told;
}
const all = [];
for (const last of [say("approved", 3), new Response("{}", { status: 401 }), new Response("{}", { status: 404 })])
  all.push(await follow(last));
document.getElementById("told").textContent = JSON.stringify(all);
</script>"""
WITHIN_S = 300
"""A browser begins within a second, and on a busy machine within many."""

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


@pytest.mark.browser
def test_the_loop_survives_and_ends(tmp_path: Path) -> None:
    """A lost request, half an answer and a 503 are asked again for the same version; an end, 401 and 404 end it."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("needs: Chromium")
    (loop,) = blocks(DOCS / "quick-start.md", "js")
    page = tmp_path / "screen.html"
    page.write_text(PAGE.replace("LOOP", loop.text), encoding="utf-8")
    places = [f"--user-data-dir={tmp_path / 'browser'}", page.as_uri()]
    command = [browser, *FLAGS, "--virtual-time-budget=60000", "--dump-dom", *places]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=WITHIN_S, check=False).stdout
    told = re.search(r'<pre id="told">(.*?)</pre>', dom)
    assert told is not None, dom
    asked = ["0", "0", "pending1", "1", "1", "1", "pending2", "2"]
    assert json.loads(told[1]) == [[*asked, "approved3"], asked, asked]

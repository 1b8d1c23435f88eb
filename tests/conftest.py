"""What every layer's tests may use: a real store, a one-node cluster, a running `otp-service dev`.

A test that needs something the machine lacks skips with a reason that begins with "needs:". On a developer's machine
that is a skip; with CI=true it is a failure, so that nothing goes untested unseen.

A test that fails while the machine stood still runs once more, and the report says so: see `tests/standstill.py`.
"""

import gc
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis
from _pytest.runner import runtestprotocol
from hypothesis import HealthCheck, settings
from redis.cluster import RedisCluster

from otp_service.config import dev_environment
from otp_service.runtime import ports
from otp_service.runtime.dev import embedded_store

from .standstill import Standstill

# The profile of every Hypothesis test; tests choose only how many examples they try. No deadline and no check of
# speed: they would make a result depend on how busy the machine is. Fixtures are shared by the examples of one test.
settings.register_profile(
    "otp-service",
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("otp-service")

# Else every process that the tests start would compile all its modules, which is half of its work.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

NEEDS = "needs:"
DEV_TIMEOUT_S = 90.0
READY_S = 60.0
"""For a server that starts. It costs nothing where it is fast."""

MIDNIGHT_S, DAY_S = 20.0, 86_400
"""No test begins so short a time before a day of UTC ends."""

STANDSTILL = Standstill()
REPEATED = "failed while the machine stood still"


def wait_until(predicate: Callable[[], Any], timeout_s: float = 30.0, what: str = "the condition") -> Any:
    """Poll until the predicate gives something true and return that; fail the test when the time is over."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() >= deadline:
            pytest.fail(f"{what} did not come true within {timeout_s} s")
        time.sleep(0.02)


def needs_program(*names: str) -> str:
    """The path of the first of the programs that is installed; a skip ("needs:") if none is."""
    for name in names:
        path = shutil.which(name)
        if path is not None:
            return path
    pytest.skip(f"{NEEDS} {' or '.join(names)}")


@pytest.fixture(scope="session", autouse=True)
def _elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Run in an empty directory: commands would find an `otp-service dev` that runs in the one pytest began in."""
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("cwd"))
    try:
        yield
    finally:
        os.chdir(before)


@pytest.fixture(autouse=True)
def _in_one_day() -> None:
    """What a test does belongs to one day, month and year of UTC: budgets, holds and dates would change under it."""
    left_s = DAY_S - time.clock_gettime(time.CLOCK_REALTIME) % DAY_S
    if left_s < MIDNIGHT_S:
        time.sleep(left_s)


@pytest.fixture(scope="session")
def embedded_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[embedded_store.EmbeddedServer]:
    """One real server on a unix socket for the whole run, with the settings of production."""
    directory = tmp_path_factory.mktemp("store")
    server = embedded_store.start(directory, log=directory / "server.log")
    try:
        server.wait_ready(READY_S)
        _spare_the_disk(redis.Redis.from_url(server.url))
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def redis_url(embedded_server: embedded_store.EmbeddedServer) -> str:
    """`unix://…` of the session's server. It may hold what other tests wrote: see `redis_server`."""
    return embedded_server.url


@pytest.fixture(scope="module")
def own_redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """As `redis_url`, for one file of tests: nothing else may use the store where commands are counted."""
    directory = tmp_path_factory.mktemp("own_store")
    server = embedded_store.start(directory, log=directory / "server.log")
    try:
        server.wait_ready(READY_S)
        _spare_the_disk(redis.Redis.from_url(server.url))
        yield server.url
    finally:
        server.stop()


def _spare_the_disk(client: redis.Redis) -> None:
    # A slow disk makes a server that syncs pause for longer than the service waits. What is written survives a killed
    # process all the same; only a power cut would tell the difference.
    with client:
        client.config_set("appendfsync", "no")


def empty(client: redis.Redis) -> None:
    """Forget everything but what processes know the store by: they would put on record that it was emptied."""
    known = [*client.scan_iter("otp:{*}:run", count=1_000), *client.scan_iter("otp:{meta}:live_processes", count=1_000)]
    kept = [(key, value) for key in known if (value := client.dump(key))]
    with client.pipeline(transaction=True) as together:
        together.flushall()
        for key, value in kept:
            together.restore(key, 0, value)
        together.execute()


@pytest.fixture(scope="session")
def _clients() -> Iterator[dict[str, redis.Redis]]:
    # Of each server one: for each new connection redis-py reads its own version from a file.
    made: dict[str, redis.Redis] = {}
    yield made
    for client in made.values():
        client.close()


@pytest.fixture
def redis_server(redis_url: str, _clients: dict[str, redis.Redis]) -> redis.Redis:
    """A client of the session's server, which is empty, without scripts too."""
    if redis_url not in _clients:
        _clients[redis_url] = redis.Redis.from_url(redis_url)
    client = _clients[redis_url]
    empty(client)
    client.script_flush()
    return client


@pytest.fixture(scope="session")
def cluster_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`redis+cluster://127.0.0.1:PORT` of a one-node cluster, where a script that leaves its slot is refused."""
    directory = tmp_path_factory.mktemp("cluster")
    server = embedded_store.start_cluster(directory, log=directory / "server.log")
    try:
        server.wait_ready(READY_S)
        server.form_cluster(READY_S)
        _spare_the_disk(redis.Redis.from_url(server.url.replace("redis+cluster://", "redis://")))
        yield server.url
    finally:
        server.stop()


@pytest.fixture(scope="session")
def _cluster_client(cluster_url: str) -> Iterator[RedisCluster]:
    # To learn a cluster's commands takes longer than most tests.
    client = RedisCluster.from_url(cluster_url.replace("redis+cluster://", "redis://"))
    try:
        yield client
    finally:
        client.close()


@pytest.fixture
def cluster_server(_cluster_client: RedisCluster) -> RedisCluster:
    """A client of the one-node cluster, which is empty, without scripts too."""
    _cluster_client.flushall()
    _cluster_client.script_flush()
    return _cluster_client


@dataclass
class Dev:
    """A running `otp-service dev`. `env` is what stands in DIR/env."""

    process: "subprocess.Popen[str]"
    directory: Path
    env: dict[str, str]

    @property
    def url(self) -> str:
        """Where the API answers."""
        return self.env["OTP_URL"]

    @property
    def sandbox_url(self) -> str:
        """Where the sandbox carrier and its phones answer."""
        return self.env["SANDBOX_URL"]

    @property
    def logs(self) -> str:
        """Everything the processes have logged so far."""
        return "\n".join(path.read_text(errors="replace") for path in sorted(self.directory.glob("logs/*.log")))


def read_env(path: Path) -> dict[str, str]:
    """Parse a DIR/env file."""
    return dict(line.split("=", 1) for line in path.read_text().splitlines() if line)


def clean_environ(**extra: str) -> dict[str, str]:
    """This process's environment without the variables that configure the service, plus `extra`."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("OTP_", "TELNYX_", "PROMETHEUS_"))}
    return {**kept, **extra}


def start_dev(directory: Path, *options: str, working: Path | None = None, **environ: str) -> Dev:
    """Start `otp-service dev --dir DIRECTORY` on free ports and wait until it serves.

    The ports are chosen here: those that `--port 0` takes could be given to a connection before the API listens.
    """
    working = working or directory.parent
    command = [
        sys.executable,
        "-m",
        "otp_service",
        "dev",
        "--dir",
        str(directory),
        "--port",
        str(ports.free_port()),
        "--sandbox-port",
        str(ports.free_port()),
    ]
    process = subprocess.Popen(
        [*command, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=working,
        env=clean_environ(**environ),
    )
    path = directory / "env"
    deadline = time.monotonic() + DEV_TIMEOUT_S
    while not path.exists():
        if process.poll() is not None or time.monotonic() >= deadline:
            process.kill()
            pytest.fail(f"otp-service dev did not start:\n{process.communicate()[0]}")
        time.sleep(0.02)
    return Dev(process, directory, read_env(path))


def stop_dev(dev: Dev, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
    """Send the signal and wait for the end; exit status and everything it printed."""
    if dev.process.poll() is None:
        dev.process.send_signal(number)
    try:
        output, _ = dev.process.communicate(timeout=90)
    except subprocess.TimeoutExpired:
        dev.process.kill()
        output, _ = dev.process.communicate()
        pytest.fail(f"otp-service dev did not end within 90 s of {number.name}:\n{output}")
    return dev.process.returncode, output


@pytest.fixture(scope="session")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """A running `otp-service dev` for the whole run, on free ports. Commands in the directory above its own find it."""
    running = start_dev(tmp_path_factory.mktemp("dev") / dev_environment.DIRECTORY)
    try:
        yield running
    finally:
        stop_dev(running)


def _fail_if_needed(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.outcome != "skipped" or os.environ.get("CI") != "true" or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if reason.removeprefix("Skipped: ").startswith(NEEDS):
        report.outcome = "failed"
        report.longrepr = f"CI must not skip this: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With CI=true a test that skips because the machine lacks something fails."""
    report = yield
    _fail_if_needed(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for modules that skip as a whole."""
    report = yield
    _fail_if_needed(report)
    return report


def pytest_sessionstart() -> None:
    """Watch for standstills of the machine: see `tests/standstill.py`."""
    STANDSTILL.start()


def pytest_collection_finish() -> None:
    """What was collected stays to the end: no collection of garbage has to look at it."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool:
    """Run a test, and once more if it failed while the machine stood still. The first failure is told at the end."""
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    STANDSTILL.forget()
    reports = runtestprotocol(item, nextitem=nextitem, log=False)
    failures = [report.longreprtext for report in reports if report.failed]
    if failures and STANDSTILL.seen():
        # Whatever the fixtures hold has stood still too. An error here would end the whole run.
        try:
            item.session._setupstate.teardown_exact(None)
        except Exception as error:  # noqa: BLE001 - it is told with the failure
            failures.append(f"and its fixtures ended with {error!r}")
        item.user_properties.append((REPEATED, "\n".join(failures)))
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell which tests ran twice, and what their first failure was."""
    for report in (one for kind in ("passed", "failed", "skipped") for one in terminalreporter.getreports(kind)):
        for name, failure in report.user_properties:
            if name == REPEATED and report.when == "call":
                terminalreporter.section(f"the machine stood still, and this ran once more: {report.nodeid}")
                terminalreporter.line(failure)

"""The signed log over HTTP: forms, scopes, caches, tenants, and cosignatures that are handed in."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from nacl.signing import SigningKey

from otp_service import bootstrap, config
from otp_service.bootstrap.signed_log import published
from otp_service.bootstrap.witnesses import remove_witness
from otp_service.signed_log.log_store import LogStore
from otp_service.transparency.checkpoints import LogKeys, read_checkpoint
from otp_service.transparency.cosignatures import cosign, cosignatures
from otp_service.transparency.notes import Note, Signer, VerifierKey
from otp_service.transparency.proofs import Proof
from otp_service.transparency.tiles import TiledHashes, entries_of, tile_path
from otp_service.transparency.tree import Tree, leaf_hash

from ..signed_log.harness import SignedHarness
from ..transparency.signing import witness_signer
from .conftest import ApiHarness, make_settings

LASTING = "private, max-age=31536000, immutable"
CHECKPOINT = "/audit/log/checkpoint"
HANDED_IN = "/audit/log/cosignatures"


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SignedHarness]:
    """A ledger of 300 records, beside the keyring of a service."""
    directory = tmp_path_factory.mktemp("logged")
    settings = make_settings(directory, "redis://127.0.0.1:1", SigningKey.generate())
    assert settings.keyring_path is not None
    made = SignedHarness(directory / "ledger.db", settings.keyring_path.read_bytes())
    made.append({"type": "key.created", "app": "default"}, {"type": "key.created", "app": "other"})
    made.append_many(298)
    made.signer.sign()
    yield made
    made.database.close()


@pytest.fixture
def api(log: SignedHarness, redis_url: str, redis_server: "redis.Redis") -> ApiHarness:
    """A service over this ledger and an empty store."""
    seed = SigningKey.generate()
    settings = make_settings(log.path.parent, redis_url, seed)
    bootstrap.accept_keyring(settings)
    return ApiHarness(bootstrap.build_web(settings), settings, config.load_keyring(settings), seed, redis_server)


def keys_of(api: ApiHarness) -> LogKeys:
    """What the log says of its keys."""
    told = api.call("GET", "/audit/log/keys").json
    return LogKeys(VerifierKey.parse(told["first_key"]), told["rotations"])


def test_somebody_elses_program_can_verify_it_all(api: ApiHarness, log: SignedHarness) -> None:
    """Checkpoint, tiles, entries and proofs, with nothing but what the paths give."""
    answer = api.call("GET", CHECKPOINT)
    assert (answer.status, answer.header("content-type")) == (200, "text/plain; charset=utf-8")
    assert answer.header("cache-control") == "no-store"
    checkpoint = keys_of(api).verify(answer.body)
    assert checkpoint.size == log.size == 300

    def fetch(level: int, number: int, width: int) -> bytes:
        tile = api.call("GET", f"/audit/log/tile/{level}/{tile_path(number, width)}")
        assert tile.status == 200
        assert tile.header("content-type") == "application/octet-stream"
        assert tile.header("cache-control") == (LASTING if width == 256 else "no-store")
        return tile.body

    assert Tree(TiledHashes(300, fetch)).root(300) == checkpoint.root
    bundle = api.call("GET", "/audit/log/tile/entries/000")
    assert bundle.header("cache-control") == LASTING
    leaves = entries_of(bundle.body)
    assert [leaf_hash(leaf) for leaf in leaves] == [fetch(0, 0, 256)[at : at + 32] for at in range(0, 8192, 32)]
    proof = Proof.parse(api.call("GET", "/audit/events/7/proof").body)
    assert proof.extra == leaves[6]
    assert proof.verify(leaves[6], keys_of(api)).size == 300


def test_who_reads_records_is_on_record(api: ApiHarness) -> None:
    """Once a minute for each key: tiles of records, and proofs. Not hashes, and not what is not there."""
    key = api.key("default", "audit:all")
    for path in ("/audit/log/tile/entries/999", "/audit/events/301/proof", "/audit/log/tile/0/000", CHECKPOINT):
        api.call("GET", path, key=key)
    for path in ("/audit/log/tile/entries/000", "/audit/events/1/proof", "/audit/log/tile/entries/001.p/44"):
        assert api.call("GET", path, key=key).status == 200
    events = api.call("GET", "/audit/events?type=audit.read").json["events"]
    assert [event["detail"] for event in events] == [{"log": "entries"}, {"log": "proof"}, {"type": ["audit.read"]}]
    assert {event["by"]["key_id"] for event in events[:2]} == {key.split("_")[1]}


def test_scopes_and_tenants(api: ApiHarness) -> None:
    """Hashes for auditors of one app, records for those of all; proofs of another app's records for nobody else."""
    key = api.key("default", "audit:read")
    for path in (CHECKPOINT, "/audit/log/keys", "/audit/log/tile/0/000", "/audit/events/1/proof"):
        assert api.call("GET", path, key=key).status == 200, path
        assert api.call("GET", path, key=api.key("default", "verify")).status == 403, path
        assert api.call("GET", path, key=None).status == 401, path
    assert api.call("GET", "/audit/log/tile/entries/000", key=key).status == 403
    assert api.call("GET", "/audit/events/2/proof", key=key).status == 404
    assert api.call("GET", "/audit/events/2/proof", key=api.key("other", "audit:read")).status == 200
    assert api.call("GET", "/audit/events/2/proof").status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/audit/log/tile/0/001",
        "/audit/log/tile/0/001.p/45",
        "/audit/log/tile/0/000.p/256",
        "/audit/log/tile/0/000.p/0",
        "/audit/log/tile/0/x000/000",
        "/audit/log/tile/00/000",
        "/audit/log/tile/64/000",
        "/audit/log/tile/x/000",
        "/audit/log/tile/0/0",
        "/audit/log/tile/0/000/",
        "/audit/log/tile/0/000/../001",
        "/audit/log/tile/entries/001",
        "/audit/log/tile/entries/999",
        "/audit/log/tile/0/" + "x999/" * 30 + "999",
        "/audit/events/0/proof",
        "/audit/events/301/proof",
        "/audit/events/nothing/proof",
        "/audit/events/00-1-1/proof",
    ],
)
def test_what_is_not_there(api: ApiHarness, path: str) -> None:
    """A clear 404, whatever the path looks like."""
    assert api.call("GET", path).status == 404


def test_a_cosignature_is_published(api: ApiHarness) -> None:
    """The witness is put on record once; what is not good is refused."""
    raw = api.call("GET", CHECKPOINT).body
    note, checkpoint = read_checkpoint(raw)
    witness = witness_signer(5)
    both = note.with_signature(cosign(checkpoint.text, witness, 1_800_000_000))
    body = {"key": str(witness.key), "checkpoint": str(both)}
    for _ in range(2):
        answer = api.call("POST", HANDED_IN, body)
        assert (answer.status, answer.json) == (200, {"witness": "witness.example", "size": 300})
    published_note, _ = read_checkpoint(api.call("GET", CHECKPOINT).body)
    assert len(cosignatures(published_note, [witness.key])) == 1
    events = api.call("GET", "/audit/events?type=witness.added").json["events"]
    assert [event["detail"]["witness"] for event in events] == ["witness.example"]
    other = both.text.replace("300", "299")
    refused = (
        ({**body, "key": str(witness_signer(6).key)}, 400),
        ({**body, "key": "nothing"}, 400),
        ({**body, "checkpoint": "nothing"}, 400),
        ({**body, "checkpoint": str(note)}, 400),
        ({**body, "checkpoint": f"{other}\n{cosign(other, witness, 1_800_000_000)}"}, 404),
        ({"key": str(witness.key)}, 400),
        *handed_in_for_nobody(witness),
    )
    for wrong, status in refused:
        assert api.call("POST", HANDED_IN, wrong).status == status, wrong


def handed_in_for_nobody(witness: Signer) -> Iterator[tuple[dict[str, str], int]]:
    """Checkpoints that no log of this name has, each cosigned well, and the answers that they get."""
    root = "A" * 43 + "="
    for origin, size, status in (
        ("otp.example/audit", "9999999999999999999", 400),
        ("otp.example/audit", str(2**63), 400),
        ("otp.example/audit", str(2**63 - 1), 404),
        ("other.example/audit", "300", 404),
    ):
        text = f"{origin}\n{size}\n{root}\n"
        yield {"key": str(witness.key), "checkpoint": f"{text}\n{cosign(text, witness, 1_800_000_000)}"}, status


def test_the_places_of_witnesses_are_not_for_every_app(api: ApiHarness, log: SignedHarness) -> None:
    """Who sees one app alone adds none; one key in two spellings is one; nobody has the name of the log."""
    note, checkpoint = read_checkpoint(api.call("GET", CHECKPOINT).body)

    def handed_in(witness: Signer, key: str = "") -> dict[str, str]:
        cosigned = Note(note.text, (cosign(checkpoint.text, witness, 1_800_000_000),))
        return {"key": key or str(witness.key), "checkpoint": str(cosigned)}

    first = witness_signer(9)
    refused = api.call("POST", HANDED_IN, handed_in(first), key=api.key("default", "audit:read"))
    assert refused.status == 403
    for key in (f" {first.key}", f"{first.key}  ", str(first.key)):
        assert api.call("POST", HANDED_IN, handed_in(first, key)).status == 200
    with log.database.reading() as connection:
        assert [one.key for one in LogStore(connection).witnesses()].count(str(first.key)) == 1
    named_as_the_log = witness_signer(9, "otp.example/audit")
    assert api.call("POST", HANDED_IN, handed_in(named_as_the_log)).status == 400
    assert str(first.key) in remove_witness(api.settings, "witness.example")
    assert read_checkpoint(api.call("GET", CHECKPOINT).body)[0].signatures == note.signatures[:1]
    events = api.call("GET", "/audit/events?type=witness.removed").json["events"]
    assert str(first.key) in [event["detail"]["key"] for event in events]
    assert remove_witness(api.settings, "witness.example") == []


def test_the_listener_beside_the_metrics_shows_hashes_alone(api: ApiHarness) -> None:
    """No key is asked for there, so no record is shown."""
    pages = published(api.settings)
    shown = pages(CHECKPOINT)
    assert shown is not None
    assert shown.body == api.call("GET", CHECKPOINT).body
    tile = pages("/audit/log/tile/0/001.p/44")
    assert tile is not None
    assert len(tile.body) == 44 * 32
    keys = pages("/audit/log/keys")
    assert keys is not None
    assert json.loads(keys.body)["first_key"].startswith("otp.example/audit+")
    for path in ("/audit/log/tile/entries/000", "/audit/events/1/proof", "/audit/log/", "/audit/events"):
        assert pages(path) is None, path


def test_without_a_ledger_there_is_no_log(tmp_path: Path) -> None:
    """Nothing is made by looking."""
    pages = published(make_settings(tmp_path, "redis://127.0.0.1:1", SigningKey.generate()))
    assert pages(CHECKPOINT) is None
    assert not (tmp_path / "ledger.db").exists()

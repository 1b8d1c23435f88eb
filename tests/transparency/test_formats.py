"""Notes, checkpoints, keys, cosignatures and proofs: what others publish is read, and nothing else is."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otp_service.transparency.checkpoints import NEXT_KEY, LogKeys, SignatureRefused, read_checkpoint
from otp_service.transparency.cosignatures import Cosignature, cosign, cosignatures
from otp_service.transparency.notes import Note, NoteError, VerifierKey
from otp_service.transparency.proofs import Proof, ProofError
from otp_service.transparency.tiles import entries_of, entry_bundle, parse_level, parse_tile_path, tile_path, width_in

from .signing import ORIGIN, SmallLog, signer, witness_signer

# The example of C2SP signed-note.
EXAMPLE_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
EXAMPLE = (
    "This is an example message.\n\n— example.com/foo "
    "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
LOG = SmallLog(500)
PROOF = str(Proof(300, tuple(LOG.tree.inclusion(300, 500)), LOG.checkpoint()))
KEYS = LogKeys(LOG.signer.key)


def test_the_example_of_the_specification() -> None:
    """Somebody else's note and key."""
    key = VerifierKey.parse(EXAMPLE_KEY)
    assert str(key) == EXAMPLE_KEY
    note = Note.parse(EXAMPLE)
    assert note.signed_by(key)
    assert str(note) == EXAMPLE
    assert not note.signed_by(signer(1, "example.com/foo").key)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a+b",
        EXAMPLE_KEY.replace("530d903a", "530d903b"),
        EXAMPLE_KEY.replace("example.com/foo", "example.com/bar"),
        EXAMPLE_KEY[:-1],
        "example.com/foo+530d903a+AukyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
    ],
)
def test_what_is_no_verifier_key(text: str) -> None:
    """Its three parts have to belong together."""
    with pytest.raises(NoteError):
        VerifierKey.parse(text)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"text\n",
        b"text\n\n",
        "text\n\n— name\n".encode(),
        "text\n\n— name AAAA\n".encode(),
        "text\n\n— name AAAAAB==\n".encode(),
        "text\n\n— name AAAAAA==".encode(),
        "te\txt\n\n— name AAAAAA==\n".encode(),
        b"\xff\n\n",
        b"x" * 70_000,
    ],
)
def test_what_is_no_note(raw: bytes) -> None:
    """One sentence says why."""
    with pytest.raises(NoteError):
        Note.parse(raw)


@pytest.mark.parametrize("text", ["a\n1\n", "a\n01\nAA==\n", "a\n-1\nAA==\n", "a\n1\nAA==\n", "a\n\n1\nAA==\n"])
def test_what_is_no_checkpoint(text: str) -> None:
    """An origin, a decimal size and a root of 32 bytes."""
    with pytest.raises(NoteError):
        read_checkpoint(f"{text}\n— name AAAAAAA=\n")


@settings(max_examples=150)
@given(at=st.integers(0, len(PROOF.encode()) - 1), bit=st.integers(0, 7))
def test_one_flipped_bit_in_a_proof_is_refused(at: int, bit: int) -> None:
    """Wherever it is."""
    changed = bytearray(PROOF.encode())
    changed[at] ^= 1 << bit
    with pytest.raises(NoteError):
        Proof.parse(bytes(changed)).verify(LOG.leaves[300], KEYS)


def test_a_proof_says_where_its_record_stands() -> None:
    """The record, and no other."""
    assert Proof.parse(PROOF).verify(LOG.leaves[300], KEYS).size == 500
    with pytest.raises(ProofError):
        Proof.parse(PROOF).verify(LOG.leaves[301], KEYS)
    with pytest.raises(SignatureRefused):
        Proof.parse(PROOF).verify(LOG.leaves[300], LogKeys(signer(2).key))
    for text in ("", PROOF.replace("index 300", "index 0300"), PROOF.replace("\nindex", "\n\nindex")):
        with pytest.raises(ProofError):
            Proof.parse(text)


def test_a_proof_may_bring_its_record_along() -> None:
    """Then it is that record, and no other, that is proved."""
    proof = Proof.parse(PROOF)
    brought = Proof.parse(str(Proof(proof.index, proof.path, proof.checkpoint, LOG.leaves[300])))
    assert brought.extra is not None
    assert brought.verify(brought.extra, KEYS).size == 500
    with pytest.raises(ProofError):
        brought.verify(LOG.leaves[301], KEYS)
    with pytest.raises(ProofError):
        Proof.parse(PROOF.replace("\nindex", "\nextra AAAA\nindex")).verify(LOG.leaves[300], KEYS)


def test_keys_follow_one_another() -> None:
    """From the first to the newest; each signs its sizes, where it names the next one included."""
    second, third = signer(2), signer(3)
    rotations = [
        LOG.checkpoint(100, f"{NEXT_KEY}{second.key}"),
        LOG.checkpoint(200, f"{NEXT_KEY}{third.key}", by=second),
    ]
    keys = LogKeys(LOG.signer.key, rotations)
    assert keys.keys == [LOG.signer.key, second.key, third.key]
    later = LogKeys(second.key, rotations)
    assert (later.newest, later.since, keys.since) == (third.key, 100, 0)
    for size, by in ((0, LOG.signer), (100, LOG.signer), (100, second), (200, second), (200, third), (500, third)):
        assert keys.verify(LOG.checkpoint(size, by=by)).size == size
    refused = {(99, second): "key_too_early", (101, LOG.signer): "key_too_late", (300, signer(4)): "foreign_signature"}
    for (size, by), kind in refused.items():
        with pytest.raises(SignatureRefused) as told:
            keys.verify(LOG.checkpoint(size, by=by))
        assert told.value.kind == kind


def test_a_change_of_keys_is_signed_by_the_key_before() -> None:
    """Nobody else names the next key, and it never goes back."""
    second, third = signer(2), signer(3)
    good = LOG.checkpoint(100, f"{NEXT_KEY}{second.key}")
    for bad in (
        LOG.checkpoint(200, f"{NEXT_KEY}{third.key}", by=third),
        LOG.checkpoint(99, f"{NEXT_KEY}{third.key}", by=second),
        LOG.checkpoint(200, by=second),
        LOG.checkpoint(200, f"{NEXT_KEY}{signer(3, 'other.example').key}", by=second),
    ):
        with pytest.raises(NoteError):
            LogKeys(LOG.signer.key, [good, bad])


def test_a_checkpoint_of_another_log_and_a_bad_signature_do_not_count() -> None:
    """Also where the key is the same."""
    with pytest.raises(SignatureRefused):
        KEYS.verify(SmallLog(5, origin="other.example").checkpoint())
    edited = LOG.checkpoint().replace("\n500\n", "\n501\n")
    with pytest.raises(SignatureRefused):
        KEYS.verify(edited)


def test_a_cosignature_says_when() -> None:
    """The time is part of what the witness signs; a witness that is not known is passed over."""
    witness = witness_signer(7)
    note, checkpoint = read_checkpoint(LOG.checkpoint())
    both = note.with_signature(cosign(checkpoint.text, witness, 1_800_000_000))
    assert cosignatures(both, [witness.key]) == [Cosignature(witness.key, 1_800_000_000)]
    assert cosignatures(Note.parse(str(both)), [witness_signer(8).key]) == []
    assert KEYS.verify(str(both)).size == 500
    line = both.signatures[1]
    for at in (0, 7, 8, 71):
        changed = bytearray(line.signature)
        changed[at] ^= 1
        forged = note.with_signature(type(line)(line.name, line.key_id, bytes(changed)))
        with pytest.raises(NoteError):
            cosignatures(forged, [witness.key])
    with pytest.raises(ValueError, match="kind"):
        cosign(checkpoint.text, LOG.signer, 1)


@settings(max_examples=40)
@given(index=st.integers(0, 10**15 - 1), width=st.integers(1, 256))
def test_tile_paths(index: int, width: int) -> None:
    """Each tile has one path."""
    assert parse_tile_path(tile_path(index, width)) == (index, width)


def test_what_is_no_tile_path() -> None:
    """Another spelling is another resource, and there is none."""
    assert tile_path(1234067) == "x001/x234/067"
    for text in (
        "",
        "1",
        "0000",
        "x000/001",
        "001/002",
        "001.p/0",
        "001.p/256",
        "001.p/01",
        "x001/000/",
        "/001",
        "١٢٣",
    ):
        assert parse_tile_path(text) is None, text
    assert [parse_level(text) for text in ("0", "63", "64", "00", "-1", "a")] == [0, 63, None, None, None, None]
    # The example of the specification: a tree of 70,000.
    assert [
        width_in(70_000, level, index) for level, index in ((0, 272), (0, 273), (1, 0), (1, 1), (2, 0), (3, 0))
    ] == [
        256,
        112,
        256,
        17,
        1,
        0,
    ]


def test_entry_bundles() -> None:
    """Each leaf after its length."""
    leaves = [b"", b"a" * 300, b"b"]
    bundle = entry_bundle(leaves)
    assert entries_of(bundle) == leaves
    for cut in (bundle[:-1], bundle[:1]):
        with pytest.raises(ValueError, match="cut"):
            entries_of(cut)
    with pytest.raises(ValueError, match="65,535"):
        entry_bundle([bytes(65_536)])
    assert ORIGIN in str(LOG.signer.key)

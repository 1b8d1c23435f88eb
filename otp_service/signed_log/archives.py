"""Evidence as a zip file and as a tar file: the same files, in an order and with times that never vary."""

import gzip
import io
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from importlib.resources import files as package_files
from pathlib import Path
from typing import IO

from ..domain.errors import ServiceError
from ..files import write_private
from ..transparency.bundles import SCRIPT, in_order

DIRECTORY = "evidence/"
FILES_MAX = 60_000
BYTES_MAX = 512 * 1024 * 1024
PADDING_MAX = 1024 * 1024
"""Zero bytes behind the end of a tar file: programs fill its last block."""

_ZIP, _GZIP = b"PK", b"\x1f\x8b"
_DATE = (2000, 1, 1, 0, 0, 0)


class NoArchive(ServiceError):
    """The file is no archive of evidence, or cannot be read or written."""


def own_script() -> bytes:
    """The script that verifies a bundle, as this package has it."""
    return package_files(__package__).joinpath(SCRIPT).read_bytes()


def write_archives(path: Path, files: Mapping[str, bytes]) -> tuple[Path, Path]:
    """Write `path` (a zip file) and the tar file beside it; only this user can read them. Raises NoArchive."""
    other = path.with_suffix(".tar.gz")
    try:
        write_private(path, _zipped(files))
        write_private(other, _tarred(files))
    except OSError as error:
        raise NoArchive(f"{path} cannot be written: {error.strerror}") from error
    return path, other


def _mode(name: str) -> int:
    return 0o755 if name == SCRIPT else 0o644


def _zipped(files: Mapping[str, bytes]) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in in_order(files):
            entry = zipfile.ZipInfo(DIRECTORY + name, _DATE)
            entry.external_attr = _mode(name) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, files[name])
    return whole.getvalue()


def _tarred(files: Mapping[str, bytes]) -> bytes:
    whole = io.BytesIO()
    with gzip.GzipFile(fileobj=whole, mode="wb", mtime=0) as packed, tarfile.open(fileobj=packed, mode="w") as archive:
        for name in in_order(files):
            entry = tarfile.TarInfo(DIRECTORY + name)
            entry.size, entry.mode, entry.mtime = len(files[name]), _mode(name), 946_684_800
            archive.addfile(entry, io.BytesIO(files[name]))
    return whole.getvalue()


def read_archive(path: Path) -> dict[str, bytes]:
    """The files of an archive of either kind, or of a directory. Raises NoArchive.

    What another program may unpack to other files is refused: a name twice, names with and without the directory, other
    entries than files, bytes behind the end.
    """
    try:
        if path.is_dir():
            return _named((str(one.relative_to(path)), one.read_bytes()) for one in path.rglob("*") if one.is_file())
        with path.open("rb") as file:
            begin = file.read(2)
            file.seek(0)
            return _of_zip(file) if begin == _ZIP else _of_tar(file, packed=begin == _GZIP)
    except (
        OSError,
        zipfile.BadZipFile,
        tarfile.TarError,
        zlib.error,
        EOFError,
        ValueError,
        KeyError,
        RuntimeError,
    ) as error:
        raise NoArchive(f"{path} is no archive of evidence: {error}") from error


def _named(found: Iterable[tuple[str, bytes]]) -> dict[str, bytes]:
    """The files by their names without the directory, which stands before each of them or before none."""
    files: dict[str, bytes] = {}
    for name, raw in found:
        if name in files or not {"", ".", ".."}.isdisjoint(name.split("/")):
            raise ValueError(f"{name!r} is there twice or no name of a file")
        files[name] = raw
    inside = [name for name in files if name.startswith(DIRECTORY)]
    if inside and len(inside) != len(files):
        raise ValueError(f"some files are in {DIRECTORY} and some are not")
    return {name.removeprefix(DIRECTORY): raw for name, raw in files.items()}


def _of_zip(file: IO[bytes]) -> dict[str, bytes]:
    with zipfile.ZipFile(file) as archive:
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        _require_bounded([entry.file_size for entry in entries])
        return _named((entry.filename, archive.read(entry)) for entry in entries)


def _of_tar(file: IO[bytes], *, packed: bool) -> dict[str, bytes]:
    with gzip.GzipFile(fileobj=file) if packed else file as raw, tarfile.open(fileobj=raw, mode="r:") as archive:
        entries = [entry for entry in archive.getmembers() if not entry.isdir()]
        _require_bounded([entry.size for entry in entries])
        _require_end(raw, archive.offset)
        opened = ((entry.name, archive.extractfile(entry) if entry.isfile() else None) for entry in entries)
        return _named((name, _content(name, one)) for name, one in opened)


def _content(name: str, opened: IO[bytes] | None) -> bytes:
    if opened is None:
        raise ValueError(f"{name!r} is no file")
    return opened.read()


def _require_end(raw: gzip.GzipFile | IO[bytes], end: int) -> None:
    """Nothing but zeros is behind the last file of a tar file."""
    raw.seek(end)
    rest = raw.read(PADDING_MAX + 1)
    if len(rest) > PADDING_MAX or rest.strip(b"\0"):
        raise ValueError("bytes follow its end")


def _require_bounded(sizes: list[int]) -> None:
    if len(sizes) > FILES_MAX or sum(sizes) > BYTES_MAX:
        raise ValueError("it holds more than evidence does")

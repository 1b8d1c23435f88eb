"""Evidence as a zip file and as a tar file: the same files, in an order and with times that never vary."""

import gzip
import io
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from ..domain.errors import ServiceError
from ..files import write_private
from ..transparency.bundles import SCRIPT, in_order

DIRECTORY = "evidence/"
FILES_MAX = 60_000
BYTES_MAX = 512 * 1024 * 1024
_DATE = (2000, 1, 1, 0, 0, 0)


class NoArchive(ServiceError):
    """The file is no archive of evidence, or cannot be read or written."""


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
    """The files of an archive of either kind, or of a directory. Raises NoArchive."""
    try:
        if path.is_dir():
            found = {str(one.relative_to(path)): one.read_bytes() for one in path.rglob("*") if one.is_file()}
        elif zipfile.is_zipfile(path):
            found = _of_zip(path)
        else:
            found = _of_tar(path)
    except (OSError, zipfile.BadZipFile, tarfile.TarError, EOFError, ValueError, KeyError) as error:
        raise NoArchive(f"{path} is no archive of evidence: {error}") from error
    return {name.removeprefix(DIRECTORY): raw for name, raw in found.items()}


def _of_zip(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        _require_bounded([entry.file_size for entry in entries])
        return {entry.filename: archive.read(entry) for entry in entries}


def _of_tar(path: Path) -> dict[str, bytes]:
    with tarfile.open(path, "r:*") as archive:
        entries = [entry for entry in archive.getmembers() if entry.isfile()]
        _require_bounded([entry.size for entry in entries])
        opened = ((entry.name, archive.extractfile(entry)) for entry in entries)
        return {name: file.read() for name, file in opened if file is not None}


def _require_bounded(sizes: list[int]) -> None:
    if len(sizes) > FILES_MAX or sum(sizes) > BYTES_MAX:
        raise ValueError("it holds more than evidence does")

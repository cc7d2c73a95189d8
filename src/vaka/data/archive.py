"""Archives of data sets, unpacked so that nothing lands outside of the folder or fills the disk."""

import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from vaka.data.dataset import DatasetError

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")


class _Member(NamedTuple):
    name: str
    size: int
    content: IO[bytes]


def is_archive(file: Path) -> bool:
    """By its name."""
    return file.name.lower().endswith(SUFFIXES)


def unpack(archive: Path, into: Path) -> Path:
    """The folder with the archive's files: a new one in `into`, or the only one that the archive has."""
    folder = into / "unpacked"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        for member in _members(archive):
            path = PurePosixPath(member.name.replace("\\", "/"))
            if not _beside_data(path):
                _write(member, path, folder, archive)
    except (OSError, EOFError, zipfile.BadZipFile, tarfile.TarError, zlib.error, RuntimeError) as error:
        raise DatasetError(archive, f"cannot be unpacked: {error}") from error
    return _inner(folder)


def _inner(folder: Path) -> Path:
    """Archives often wrap everything in one folder of the archive's own name."""
    below = list(folder.iterdir())
    return below[0] if len(below) == 1 and below[0].is_dir() else folder


def _members(archive: Path) -> Iterator[_Member]:
    """Regular files only: links and devices of an archive are not for data."""
    if archive.name.lower().endswith(".zip"):
        with zipfile.ZipFile(archive) as packed:
            for info in packed.infolist():
                if not info.is_dir():
                    yield _Member(info.filename, info.file_size, packed.open(info))
    elif is_archive(archive):
        with tarfile.open(archive) as tape:
            for entry in tape:
                if content := tape.extractfile(entry) if entry.isfile() else None:
                    yield _Member(entry.name, entry.size, content)
    else:
        raise DatasetError(archive, f"is one file and no archive: known are {', '.join(SUFFIXES)}")


def _beside_data(path: PurePosixPath) -> bool:
    """What macOS adds to archives of its own, which would be taken for data, and for a second folder."""
    return "__MACOSX" in path.parts or path.name == ".DS_Store" or path.name.startswith("._")


def _write(member: _Member, path: PurePosixPath, folder: Path, archive: Path) -> None:
    if path.is_absolute() or ".." in path.parts:
        raise DatasetError(archive, f"holds {member.name}, which leads outside of it")
    free = shutil.disk_usage(folder).free
    if member.size > free:
        raise DatasetError(
            archive, f"holds {member.name} of {member.size / 1e6:.0f} MB: {free / 1e6:.0f} MB are free"
        )
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    with member.content as content, target.open("xb") as out:
        shutil.copyfileobj(content, out)

"""One object to a local file, in as many pieces as the network breaks it into, and never of two versions.

Beside the file lies a note of the version that its bytes are of, so that another process can go on too. The
note names the boot of the machine: what was written before a crash of it may never have reached the disk.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
from obstore.exceptions import NotSupportedError, PreconditionError

from vaka.storage.errors import StorageError, Unreachable
from vaka.storage.local import told_when_full
from vaka.storage.remote import Remote, Version

CHUNK = 64 * 1024
BOOT = Path("/proc/sys/kernel/random/boot_id")


class Changed(StorageError):
    """The object is another one than it was."""


class _Note(msgspec.Struct, frozen=True):
    version: Version
    boot: str


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """The transfer of the object at `path` below the remote's key to the file `to`."""

    remote: Remote
    path: str
    to: Path
    note: Path
    """Where the version of the file's bytes is noted."""
    expected: Version | None = None
    """The version that it must have; None: whichever there is."""
    check: Callable[[int], None] = lambda _: None
    """Told how many bytes will come, before they do."""
    told: Callable[[int], None] = lambda _: None
    """Told how many bytes are there."""

    def run(self) -> None:
        """Transfer what is missing.

        Raises:
            Changed: the object changed meanwhile; nothing of it is kept.
            Unreachable: nothing comes any more; what came is kept for another time.
        """
        while True:
            before = self._present()
            try:
                return self._attempt()
            except Changed:
                self._forget()
                raise
            except Unreachable:  # by then the client has tried again itself, and waited in between
                if self._present() <= before:
                    raise

    def _attempt(self) -> None:
        known = self._known()
        start = self._present() if known else 0
        if known is None or start < known.size:
            with self.remote.explained():
                known = self._receive(start, known)
        if self._present() != known.size:
            raise Unreachable(f"{self._name} broke off at {self._present()} of {known.size} bytes")

    def _receive(self, start: int, known: Version | None) -> Version:
        """Append what comes from byte `start` on, of the version that is known if any is."""
        wanted = known or self.expected
        try:
            answer = self.remote.get(self.path, start=start, etag=wanted.etag if wanted else None)
        except PreconditionError:
            raise Changed(f"{self._name} has changed while it was read") from None
        except NotSupportedError:  # the server knows no ranges
            self._forget()
            return self._receive(0, None)
        found = Version.of(answer.meta)
        if wanted and not found.may_be(wanted):
            raise Changed(f"{self._name} has changed while it was read")
        if not start:
            self._begin(found)
        self.check(found.size - start)
        present = start
        with self.to.open("ab") as out, told_when_full(self.to.parent, self._name):
            for chunk in answer.stream(min_chunk_size=CHUNK):
                present += out.write(chunk)
                self.told(present)
        return found

    def _begin(self, version: Version) -> None:
        """An empty file, and then the note of what will be in it: never a note beside bytes of another."""
        self._forget()
        for file in (self.to, self.note):
            file.parent.mkdir(parents=True, exist_ok=True)
        self.to.touch()
        beside = self.note.with_suffix(".new")
        beside.write_bytes(msgspec.json.encode(_Note(version, BOOT.read_text())))
        beside.replace(self.note)

    def _known(self) -> Version | None:
        """The version of what is there, if it may be gone on with."""
        try:
            note = msgspec.json.decode(self.note.read_bytes(), type=_Note)
        except (FileNotFoundError, msgspec.DecodeError):
            return None
        usable = note.version.etag is not None and note.boot == BOOT.read_text()
        fits = self.expected is None or note.version.may_be(self.expected)
        return note.version if usable and fits else None

    def _present(self) -> int:
        return self.to.stat().st_size if self.to.exists() else 0

    def _forget(self) -> None:
        self.note.unlink(missing_ok=True)
        self.to.unlink(missing_ok=True)

    @property
    def _name(self) -> str:
        return f"{self.remote.uri}/{self.path}" if self.path else self.remote.uri

"""An OCI image layout: a folder of blobs, in which images share layers (OCI image specification 1.1)."""

from __future__ import annotations

import fcntl
import io
import json
import os
import tarfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

TAG = "org.opencontainers.image.ref.name"
"""The annotation that names an image within the layout."""
NAME = "io.containerd.image.name"
"""The annotation that containerd takes an imported image's name from."""
KEY = "dev.vaka.key"
"""The annotation that tells what an image was built from."""
_COPY_BYTES = 2**20


@dataclass(frozen=True)
class Image:
    """One image of a layout: what it is called, what it was built from and where its manifest is."""

    reference: str
    key: str
    descriptor: dict[str, Any]


@dataclass(frozen=True)
class Layout:
    root: Path

    def images(self) -> dict[str, Image]:
        """Short name (trainer) -> image; empty where nothing was built yet."""
        try:
            index = json.loads((self.root / "index.json").read_bytes())
        except FileNotFoundError:
            return {}
        built = [m for m in index["manifests"] if {TAG, NAME} <= m["annotations"].keys()]
        return {
            m["annotations"][TAG]: Image(m["annotations"][NAME], m["annotations"][KEY], m)
            for m in built
            if self._blob(m["digest"]).exists()
        }

    def record(self, name: str, *, reference: str, key: str) -> None:
        """Note what the image, pushed as `name`, is called in a cluster and what it was built from."""
        index = json.loads((self.root / "index.json").read_bytes())
        # What a push replaces stays in the index, without a name.
        index["manifests"] = [m for m in index["manifests"] if TAG in m["annotations"]]
        for manifest in index["manifests"]:
            if manifest["annotations"][TAG] == name:
                manifest["annotations"] |= {NAME: reference, KEY: key}
        draft = self.root / "index.json.draft"
        draft.write_text(json.dumps(index))
        os.replace(draft, self.root / "index.json")

    def blobs(self, name: str) -> list[str]:
        """Digests of manifest, configuration and layers of an image, the manifest first."""
        digest = self.images()[name].descriptor["digest"]
        manifest = json.loads(self._blob(digest).read_bytes())
        return [digest, manifest["config"]["digest"], *(layer["digest"] for layer in manifest["layers"])]

    def size(self, name: str) -> int:
        """Bytes of all blobs of an image."""
        return sum(self._blob(digest).stat().st_size for digest in self.blobs(name))

    def write_archive(self, names: Collection[str], out: IO[bytes], *, without: Collection[str] = ()) -> None:
        """Stream the images as one OCI archive, for `ctr images import -`.

        Args:
            without: digests of layers that the reader has already, so that they need no copying.
        """
        with (
            self._locked(fcntl.LOCK_SH),
            tarfile.open(fileobj=out, mode="w|", bufsize=_COPY_BYTES) as archive,
        ):
            images = self.images()
            index = {"schemaVersion": 2, "manifests": [images[name].descriptor for name in names]}
            digests = dict.fromkeys(digest for name in names for digest in self.blobs(name))
            _add(archive, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
            _add(archive, "index.json", json.dumps(index).encode())
            for digest in digests:
                if digest not in without:
                    archive.add(self._blob(digest), f"blobs/{digest.replace(':', '/')}")

    def prune(self) -> int:
        """Remove blobs that no image refers to, once nobody reads; returns the bytes freed."""
        with self._locked(fcntl.LOCK_EX):
            needed = {self._blob(digest) for name in self.images() for digest in self.blobs(name)}
            unused = [path for path in (self.root / "blobs").glob("*/*") if path not in needed]
            freed = sum(path.stat().st_size for path in unused)
            for path in unused:
                path.unlink()
            return freed

    @contextmanager
    def _locked(self, mode: int) -> Iterator[None]:
        with (self.root / "lock").open("w") as file:
            fcntl.flock(file, mode)
            yield

    def _blob(self, digest: str) -> Path:
        return self.root / "blobs" / digest.replace(":", "/")


def layout_of(cache: Path) -> Layout:
    """Where Vaka's own images lie below the cache: what builds them writes here, what loads them reads."""
    return Layout(cache / "images" / "oci")


def _short_name(manifest: dict[str, Any]) -> str:
    """The name in the layout; "" for what was replaced by another of its name."""
    return str(manifest.get("annotations", {}).get("org.opencontainers.image.ref.name", ""))


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))

"""Images without a registry: archives and buildah's own storage, imported into a node's containerd."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from vaka.devcluster.errors import ClusterError
from vaka.devcluster.layout import Layout

CTR = ("ctr", "--namespace", "k8s.io")
IMPORT = (*CTR, "images", "import", "-")


def write_image(
    archive: Path, *, reference: str, files: Mapping[str, Path], entrypoint: Sequence[str], architecture: str
) -> None:
    """A docker-archive of an image of one layer, which runs as nobody.

    Args:
        files: path in the image, without the leading slash -> the file that it is copied from.
        architecture: as Go calls it.
    """
    layer = _tar({name: source.read_bytes() for name, source in files.items()}, mode=0o755)
    config = json.dumps(
        {
            "architecture": architecture,
            "os": "linux",
            "config": {"Entrypoint": list(entrypoint), "User": "65534:65534"},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        }
    ).encode()
    manifest = [{"Config": "config.json", "RepoTags": [reference], "Layers": ["layer.tar"]}]
    parts = {"config.json": config, "layer.tar": layer, "manifest.json": json.dumps(manifest).encode()}
    archive.write_bytes(_tar(parts, mode=0o644))


def import_image(image: str, *, into: tuple[str, ...]) -> str:
    """Import an archive (a file) or an image of buildah's storage (a name); returns what was imported.

    Args:
        into: command that reads a docker or OCI archive from standard input.

    Raises:
        ClusterError: neither file nor image is there, or it is not an image archive.
    """
    if Path(image).is_file():
        with Path(image).open("rb") as archive:
            return _checked(image, subprocess.run(into, stdin=archive, capture_output=True, check=False))
    with _buildah_push(image) as source:
        result = subprocess.run(into, stdin=source.stdout, capture_output=True, check=False)
        _, problem = source.communicate()
    if source.returncode:
        raise ClusterError(
            f"{image!r} is neither a file nor an image that buildah has: {problem.decode().strip()}"
        )
    return _checked(image, result)


def import_layout(layout: Layout, name: str, *, inside: tuple[str, ...]) -> str:
    """Import an image of a layout, copying only the layers that the node has not got yet.

    Args:
        inside: what to put before a command line so that it runs on the node.

    Raises:
        ClusterError: the node's containerd does not take it.
    """
    known = subprocess.run((*inside, *CTR, "content", "ls", "-q"), capture_output=True, text=True, check=True)
    argv = (*inside, *IMPORT)
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as ctr:
        assert ctr.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it says itself why it reads no further
            layout.write_archive([name], ctr.stdin, without=known.stdout.split())
        said, _ = ctr.communicate()
    if ctr.returncode:
        raise ClusterError(f"image {name!r} could not be imported: {said.decode().strip()}")
    return said.decode().strip()


def _buildah_push(image: str) -> subprocess.Popen[bytes]:
    argv = [
        "buildah",
        "push",
        "--quiet",
        "--disable-compression",
        image,
        f"docker-archive:/dev/stdout:{image}",
    ]
    try:
        return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except FileNotFoundError as error:
        raise ClusterError(
            f"there is no file {image!r}, and buildah is missing, which could have an image of that name: "
            "apt-get install buildah"
        ) from error


def _checked(image: str, result: subprocess.CompletedProcess[bytes]) -> str:
    if result.returncode:
        raise ClusterError(f"{image!r} could not be imported: {result.stderr.decode().strip()}")
    return result.stdout.decode().strip()


def _tar(files: dict[str, bytes], *, mode: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()

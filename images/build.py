"""Builds the container images into the cache: `python images/build.py [NAME...]`; see images/README.md."""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from vaka.data import packaged
from vaka.devcluster.folders import cache_root
from vaka.devcluster.layout import layout_of

ROOT = Path(__file__).parents[1]
NAMES = ("operator", "server", "router", "batch", "datasets", "trainer")
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
SUITE = "bookworm"
BASE = f"localhost/vaka/base:{SUITE}-slim"
DEBIAN = "http://deb.debian.org/debian"
UNNEEDED = (
    *(f"usr/share/{name}/*" for name in ("man", "locale", "info", "zoneinfo/right")),
    *(f"usr/share/doc/*/{name}" for name in ("[!c]*", "c[!o]*")),
    *("usr/lib/*/gconv/*", "var/cache/apt/*", "var/lib/apt/lists/*", "var/log/*"),
)
"""Of Debian: licences stay (copyright), tables of character sets and of leap seconds do not."""
EXCLUDED = """path-exclude=/usr/share/man/*
path-exclude=/usr/share/locale/*
path-exclude=/usr/share/doc/*
path-include=/usr/share/doc/*/copyright
"""
"""What packages that are installed later leave out, in dpkg's words."""
INDEXES = ("PIP_INDEX_URL", "TORCH_INDEX_URL")
CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
DISK_NEEDED = {"trainer": 14 * 2**30}  # bytes: torch lies in the storage, in the layout and once between


class BuildError(Exception):
    """Something a person can put right; the message says what."""


@dataclass(frozen=True)
class Image:
    """An image to build: its name and the folder that its Dockerfile copies from."""

    name: str
    context: Path

    @property
    def dockerfile(self) -> Path:
        return ROOT / "images" / self.name / "Dockerfile"

    @property
    def reference(self) -> str:
        return f"docker.io/vaka/{self.name}:{VERSION}"

    def key(self) -> str:
        """Digest of all that decides what is in the image."""
        digest = hashlib.sha256(
            repr([BASE, *(os.environ.get(name) for name in ("BASE_IMAGE", *INDEXES))]).encode()
        )
        digest.update(self.dockerfile.read_bytes())
        for path in self._inputs():
            digest.update(f"{path.relative_to(self.context)}\0".encode() + path.read_bytes())
        return digest.hexdigest()[:16]

    def _inputs(self) -> Iterator[Path]:
        copies = re.findall(r"^COPY (.+) \S+$", self.dockerfile.read_text(), re.MULTILINE)
        for source in " ".join(copies).split():
            yield from _files(self.context / source)


def _files(path: Path) -> list[Path]:
    ignored = {"__pycache__", "devcluster"}
    files = [path, *path.rglob("*")]
    return sorted(f for f in files if f.is_file() and not ignored & set(f.relative_to(path).parts))


def main(arguments: list[str]) -> int:
    """Build the named images, or all; one sentence on standard error says why it cannot be done."""
    parser = argparse.ArgumentParser(prog="images/build.py", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; all if none is given"
    )
    parser.add_argument("--engine", choices=("auto", "buildah", "docker"), default="auto")
    options = parser.parse_args(arguments)
    try:
        for name in options.names:
            if name not in NAMES:
                raise BuildError(f"there is no image {name!r}: the images are {', '.join(NAMES)}")
        build(options.names or list(NAMES), engine=options.engine, cache=cache_root())
    except (BuildError, packaged.Unavailable) as error:
        print(f"vaka: {error}", file=sys.stderr)
        return 1
    return 0


def build(names: list[str], *, engine: str, cache: Path) -> None:
    """Build what changed since it was last built."""
    folder = cache / "images"
    folder.mkdir(parents=True, exist_ok=True)
    with packaged.locked(folder / "lock"):
        images = [Image(name, _datasets(folder, cache) if name == "datasets" else ROOT) for name in names]
        if _engine(engine) == "docker":
            for image in images:
                options = _options(image, os.environ.get("BASE_IMAGE", "debian:12-slim"))
                command = ["docker", "build", *options, str(image.context)]
                _run(command, title=image.name, log=folder / f"{image.name}.log")
        else:
            Buildah(cache).build(images)


def _engine(wanted: str) -> str:
    """The engine that is at hand: Docker where its daemon answers, buildah otherwise."""
    if wanted != "buildah" and shutil.which("docker"):
        answer = subprocess.run(["docker", "info"], capture_output=True, check=False)
        if answer.returncode == 0:
            return "docker"
    if wanted == "docker":
        raise BuildError("no Docker engine answers: start it, or build with --engine buildah")
    if os.geteuid():
        raise BuildError("images are built by root or by a Docker engine: run as root, or start Docker")
    for program in ("buildah", "skopeo", "debootstrap"):
        if not shutil.which(program):
            raise BuildError(f"{program} is missing: apt-get install {program}, or start a Docker engine")
    return "buildah"


class Buildah:
    """Builds in a storage of its own, and exports to an OCI layout in which images share layers."""

    def __init__(self, cache: Path) -> None:
        self.folder = folder = cache / "images"
        self.layout = layout_of(cache)
        self.environment = {**os.environ, "STORAGE_DRIVER": "overlay", "TMPDIR": str(folder / "tmp")}
        self.buildah = ["buildah", "--root", f"{folder}/storage", "--runroot", f"{folder}/run"]

    def build(self, images: list[Image]) -> None:
        """Build those whose key is not that of what lies in the layout."""
        built = self.layout.images()
        for image in images:
            key = image.key()
            if image.name in built and built[image.name].key == key:
                say(f"{image.name}: unchanged")
                continue
            self._check_disk(image)
            self._share_packages()
            started = time.monotonic()
            self._build(image)
            self._export(image, key)
            size = self.layout.size(image.name) / 1e6
            say(f"{image.name}: built in {time.monotonic() - started:.0f} s, {size:.0f} MB")

    def _check_disk(self, image: Image) -> None:
        free = shutil.disk_usage(self.folder).free
        needed = 2**30 if image.name in self.layout.images() else DISK_NEEDED.get(image.name, 2**30)
        if free < needed:
            raise BuildError(
                f"{free / 2**30:.1f} GiB are free in {self.folder}, and building {image.name} needs "
                f"{needed // 2**30}: make room, or name a folder on another disk in VAKA_CACHE"
            )

    def _share_packages(self) -> None:
        """Let builds use the packages that uv has on this machine already: torch alone is 3 GB."""
        packages = Path(os.environ.get("UV_CACHE_DIR") or Path.home() / ".cache/uv")
        mounted = self.folder / "tmp/buildah-cache/uv"
        mounted.parent.mkdir(parents=True, exist_ok=True)
        packages.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            mounted.symlink_to(packages)

    def _build(self, image: Image) -> None:
        base = os.environ.get("BASE_IMAGE") or self._base()
        options = ["--layers", "--network", "host", *_options(image, base)]
        self._run("bud", *options, str(image.context), title=image.name)

    def _export(self, image: Image, key: str) -> None:
        """Copy the image's new layers to the layout, and drop from both what this build replaces.

        buildah itself would compress the layers, which takes minutes and is undone at every import.
        """
        source = f"containers-storage:[overlay@{self.folder}/storage+{self.folder}/run]{image.reference}"
        target = f"oci:{self.layout.root}:{image.name}"
        copy = ["skopeo", "--tmpdir", f"{self.folder}/tmp", "copy", "--dest-oci-accept-uncompressed-layers"]
        log = self.folder / f"{image.name}.log"
        _run([*copy, source, target], title=f"{image.name}: exporting", log=log, environment=self.environment)
        self.layout.record(image.name, reference=image.reference, key=key)
        self.layout.prune()
        self._run("rm", "--all", title=image.name)  # what an interrupted build has left
        self._run("rmi", "--prune", title=image.name)

    def _base(self) -> str:
        """A minimal Debian from Debian's packages: no image registry is needed."""
        if self._has(BASE):
            return BASE
        root = self.folder / "base"
        shutil.rmtree(root, ignore_errors=True)
        command = ["debootstrap", "--variant=minbase", SUITE, str(root), DEBIAN]
        try:
            _run(command, title=f"Debian {SUITE}", log=self.folder / "base.log", environment=self.environment)
            for path in [path for pattern in UNNEEDED for path in root.glob(pattern)]:
                _remove(path)
            (root / "etc/dpkg/dpkg.cfg.d/excluded").write_text(EXCLUDED)
            container = self._run("from", "scratch", title="base").strip()
            self._run("add", "--quiet", container, str(root), "/", title="base")
            self._run("commit", "--quiet", "--rm", container, BASE, title="base")
        finally:
            shutil.rmtree(root, ignore_errors=True)
        return BASE

    def _has(self, reference: str) -> bool:
        command = [*self.buildah, "inspect", "--type", "image", reference]
        return subprocess.run(command, env=self.environment, capture_output=True, check=False).returncode == 0

    def _run(self, *command: str, title: str) -> str:
        log = self.folder / f"{title.partition(':')[0]}.log"
        return _run([*self.buildah, *command], title=title, log=log, environment=self.environment)


def _options(image: Image, base: str) -> list[str]:
    """What both engines' build commands take."""
    arguments = {"BASE_IMAGE": base} | {name: os.environ[name] for name in INDEXES if os.environ.get(name)}
    options = ["--tag", image.reference, "--file", str(image.dockerfile)]
    if CA_BUNDLE.exists():  # a certificate authority of this machine's own must hold inside of the build, too
        options += ["--secret", f"id=ca,src={CA_BUNDLE}"]
        arguments["PIP_CERT"] = "/run/secrets/ca"
    return [*options, *(f"--build-arg={name}={value}" for name, value in arguments.items())]


def _datasets(folder: Path, cache: Path) -> Path:
    """The packaged data sets in one folder, as hard links."""
    context = folder / "datasets"
    shutil.rmtree(context, ignore_errors=True)
    for name in packaged.NAMES:
        shutil.copytree(packaged.ensure(name, cache), context / name, copy_function=os.link)
    return context


def _remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)


def _run(command: list[str], *, title: str, log: Path, environment: dict[str, str] | None = None) -> str:
    """Run a command and say which step it is at; returns what it printed.

    Raises:
        BuildError: it failed; the message has its last lines.
    """
    started = time.monotonic()
    shown = ("", started)
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        try:
            while process.poll() is None:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=1)
                shown = _progress(title, log, shown, started)
        finally:
            process.kill()
            process.wait()
    printed = log.read_text(errors="replace")
    if process.returncode:
        last = " / ".join(printed.strip().splitlines()[-3:])
        raise BuildError(f"{title} failed: {last} (all of it: {log})")
    return printed


def _progress(title: str, log: Path, shown: tuple[str, float], started: float) -> tuple[str, float]:
    """Say the step that the build is at when it is another one, and every 20 seconds that it still is."""
    steps = re.findall(r"STEP \d+/\d+: .{0,60}", log.read_text(errors="replace"))
    step, now = steps[-1] if steps else "", time.monotonic()
    if (step == shown[0] or not step) and now - shown[1] < 20:
        return shown
    say(f"{title}: {step or 'working'} ({now - started:.0f} s)")
    return step, now


def say(line: str) -> None:
    print(f"    {line}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

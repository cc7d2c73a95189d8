"""The Go programs of a cluster: built once from pinned modules, cached by the digest of their sources.

No registry serves them ready-made, but the Go module proxy serves their sources. All are built from one
module (the folder ``kube``), which pins every version and lets them share most of what they are made of.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from vaka.devcluster.errors import ClusterError

KUBERNETES_VERSION = "1.37.2"
_SOURCES = Path(__file__).with_name("kube")
_PACKAGES = {  # program -> Go package
    "kube": ".",
    "pause": "./pause",
    "coredns": "./coredns",
    "helm": "helm.sh/helm/v4/cmd/helm",
    "kwok": "sigs.k8s.io/kwok/cmd/kwok",
    "metrics-server": "sigs.k8s.io/metrics-server/cmd/metrics-server",
    "versitygw": "github.com/versity/versitygw/cmd/versitygw",  # an S3 server for tests
}
_NAMES_OF_KUBE = (
    *("etcd", "kubectl", "provisioner", "kube-apiserver", "kube-controller-manager"),
    *("kube-scheduler", "kube-proxy", "kubelet"),
)
_DISK_NEEDED = 12 * 2**30  # bytes; nearly all of it for Go's own caches, which are removed afterwards
_END_WITH_US = ("setpriv", "--pdeathsig", "KILL")
_OLDEST_GO = (1, 21)  # the first that fetches the newer toolchain that go.mod asks for


def binary_folder(cache: Path) -> Path:
    """The folder of all programs of this version, whether built yet or not."""
    return cache / "bin" / f"v{KUBERNETES_VERSION}-{_digest(_SOURCES)}"


def programs(cache: Path) -> dict[str, Path]:
    """Name of each program -> its path, whether built yet or not."""
    return {name: binary_folder(cache) / name for name in (*_PACKAGES, *_NAMES_OF_KUBE)}


def ensure_binaries(
    cache: Path, *, say: Callable[[str], None], environ: Mapping[str, str] = os.environ
) -> None:
    """Build the programs below ``cache`` unless they are there. An interrupted build goes on where it was.

    Args:
        environ: of the build; GOCACHE and GOMODCACHE in it name caches to use and to keep.

    Raises:
        ClusterError: Go is missing or too old, the disk too full, or the build failed.
    """
    target = binary_folder(cache)
    if target.exists():
        return
    build = cache / "build"
    build.mkdir(parents=True, exist_ok=True)
    with _locked(cache / "build.lock", say):
        if not target.exists():
            _check_go()
            _check_disk(build)
            _build(build, target, _go_environment(build, environ), say)
        shutil.rmtree(build, ignore_errors=True)


def _build(build: Path, target: Path, environ: dict[str, str], say: Callable[[str], None]) -> None:
    begun = time.monotonic()
    packages = tuple(_PACKAGES.values())
    say(f"building Kubernetes {KUBERNETES_VERSION} and its helpers, once (about 10 minutes on 2 cores) ...")
    fetched = _go(["list", "-deps", *packages], build / "fetch.log", environ, _fetching(begun, say))
    total = len([line for line in fetched if not line.startswith("go: ")])
    draft = Path(environ["GOBIN"])
    shutil.rmtree(draft, ignore_errors=True)
    flags = ["-v", "-trimpath", "-ldflags", f"-s -w {_version_flags()}"]
    command = ["build", *flags, "-o", f"{draft}/", *packages]
    _go(command, build / "compile.log", environ, _compiling(begun, total, say))
    for name in _NAMES_OF_KUBE:
        (draft / name).symlink_to("kube")
    target.parent.mkdir(exist_ok=True)
    draft.rename(target)
    say(f"built {', '.join(_PACKAGES)} in {time.monotonic() - begun:.0f} s")


def _fetching(begun: float, say: Callable[[str], None]) -> Callable[[list[str]], None]:
    def tell(lines: list[str]) -> None:
        modules = sum(line.startswith("go: downloading") for line in lines)
        say(f"[1/2] fetching sources: {modules} modules, {time.monotonic() - begun:.0f} s")

    return tell


def _compiling(begun: float, total: int, say: Callable[[str], None]) -> Callable[[list[str]], None]:
    def tell(lines: list[str]) -> None:
        say(f"[2/2] compiling: {len(lines)} of {total} packages, {time.monotonic() - begun:.0f} s")

    return tell


def _go(
    arguments: Sequence[str], log: Path, environ: dict[str, str], tell: Callable[[list[str]], None]
) -> list[str]:
    """Run Go on our module, telling every few seconds what it printed so far; returns all it printed."""
    with log.open("wb") as output:
        command = [*_END_WITH_US, "go", arguments[0], "-C", str(_SOURCES), *arguments[1:]]
        process = subprocess.Popen(command, env=environ, stdout=output, stderr=output)
        try:
            while _still_runs(process):
                tell(log.read_text().splitlines())
        finally:
            process.kill()
            process.wait()
    lines = log.read_text().splitlines()
    if process.returncode:
        raise ClusterError(f"building Kubernetes failed: {' / '.join(lines[-3:])} (all of it: {log})")
    return lines


def _still_runs(process: subprocess.Popen[bytes]) -> bool:
    """False as soon as it ended, True after some seconds: fewer where a person looks on."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=3 if sys.stderr.isatty() else 20)
        return False
    return True


def _version_flags() -> str:
    major, minor, _ = KUBERNETES_VERSION.split(".")
    stamp = {"gitVersion": f"v{KUBERNETES_VERSION}", "gitMajor": major, "gitMinor": minor}
    return " ".join(f"-X k8s.io/component-base/version.{name}={value}" for name, value in stamp.items())


def _go_environment(build: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Go's caches lie in ``build`` so that they can be removed, unless the user has named others."""
    own = {"GOCACHE": str(build / "cache"), "GOMODCACHE": str(build / "modules")}
    temporary = build / "tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    flags = f"{environ.get('GOFLAGS', '')} -modcacherw".strip()  # else the module cache could not be removed
    fixed = {"GOBIN": str(build / "bin"), "GOTMPDIR": str(temporary), "CGO_ENABLED": "0", "GOFLAGS": flags}
    return {**own, **environ, **fixed}


def _check_go() -> None:
    try:
        version = subprocess.run(["go", "version"], capture_output=True, text=True, check=True).stdout
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        raise ClusterError(
            "Go is missing, which builds Kubernetes here: install Go 1.21 or newer and put it on PATH"
        ) from error
    found = re.search(r"go(\d+)\.(\d+)", version)
    if found and (int(found[1]), int(found[2])) < _OLDEST_GO:
        raise ClusterError(f"Go {found[1]}.{found[2]} is too old to build Kubernetes: install 1.21 or newer")


def _check_disk(build: Path) -> None:
    """What an interrupted build has filled already need not be free again."""
    free = shutil.disk_usage(build).free
    missing = _DISK_NEEDED - sum(path.lstat().st_size for path in build.rglob("*"))
    if free < missing:
        raise ClusterError(
            f"{free / 2**30:.1f} GiB are free in {build.parent}, and building Kubernetes needs "
            f"{missing / 2**30:.1f}: make room, or name a folder on another disk in VAKA_CACHE"
        )


@contextlib.contextmanager
def _locked(path: Path, say: Callable[[str], None]) -> Iterator[None]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another process is building the same programs: waiting for it ...")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _digest(sources: Path) -> str:
    files = sorted(path for path in sources.rglob("*") if path.is_file())
    content = b"".join(f"{path.relative_to(sources)}\0".encode() + path.read_bytes() for path in files)
    return hashlib.sha256(content).hexdigest()[:8]

"""A real one-node cluster, driven as people drive it: by `vaka cluster`."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from vaka.devcluster.binaries import programs
from vaka.devcluster.folders import ClusterFolder, cache_root, cluster_folder
from vaka.devcluster.images import write_image
from vaka.devcluster.process import children, supervisor_pid

PROGRAMS = ("bash", "cat", "getent", "id", "sleep", "touch")


@dataclass(frozen=True)
class Vaka:
    """A cluster by name."""

    name: str

    @property
    def folder(self) -> ClusterFolder:
        return cluster_folder(self.name, cache=cache_root())

    def command(self, verb: str) -> list[str]:
        which = ("--name", self.name, "--provider", "embedded")
        return [sys.executable, "-m", "vaka.cli", "cluster", verb, *which]

    def cluster(self, verb: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        argv = [*self.command(verb), *arguments]
        return subprocess.run(argv, capture_output=True, text=True, check=False)

    def kubectl(self, *arguments: str, text: str | None = None) -> str:
        argv = [str(self.folder.bin / "kubectl"), "--kubeconfig", str(self.folder.kubeconfig), *arguments]
        result = subprocess.run(argv, input=text, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def get(self, *arguments: str) -> Any:
        return json.loads(self.kubectl("get", "-o", "json", *arguments))

    def init(self) -> int:
        """Host pid of the first process of its namespaces."""
        pid = supervisor_pid(self.folder)
        assert pid
        return children(pid)[0]

    def component(self, program: str) -> int:
        """Host pid of the component that runs a program."""
        for pid in children(self.init()):
            if Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode().endswith(program):
                return pid
        raise LookupError(program)


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Archive of an image vaka.dev/test:1 of this machine's own programs, and of one that serves HTTP."""
    files = {"bin/sh": Path(shutil.which("bash") or ""), "bin/coredns": programs(cache_root())["coredns"]}
    for program in PROGRAMS:
        path = Path(shutil.which(program) or "")
        files[f"bin/{program}"] = path
        linked = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout.split()
        files |= {word.lstrip("/"): Path(word) for word in linked if word.startswith("/")}
    archive = tmp_path_factory.mktemp("image") / "test.tar"
    write_image(
        archive,
        reference="vaka.dev/test:1",
        files=files,
        entrypoint=["/bin/sleep", "infinity"],
        architecture="amd64" if os.uname().machine == "x86_64" else "arm64",
    )
    return archive


@pytest.fixture(scope="session")
def one(image: Path) -> Iterator[Vaka]:
    """A cluster that is up and knows the image."""
    vaka = Vaka("test-one")
    up = vaka.cluster("up")
    try:
        assert up.returncode == 0, up.stderr
        load = vaka.cluster("load", str(image))
        assert load.returncode == 0, load.stderr
        yield vaka
    finally:
        vaka.cluster("down")

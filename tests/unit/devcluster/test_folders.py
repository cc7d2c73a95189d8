from pathlib import Path

import pytest

from vaka.devcluster.errors import ClusterError
from vaka.devcluster.folders import cache_root, cluster_folder


@pytest.mark.parametrize(
    ("environ", "root"),
    [
        ({"VAKA_CACHE": "/a", "XDG_CACHE_HOME": "/b"}, Path("/a")),
        ({"VAKA_CACHE": "", "XDG_CACHE_HOME": "/b"}, Path("/b/vaka")),
        ({}, Path.home() / ".cache/vaka"),
    ],
)
def test_the_most_specific_variable_names_the_cache(environ: dict[str, str], root: Path) -> None:
    assert cache_root(environ) == root


@pytest.mark.parametrize("name", ["", "a/b", "..", "-a", "a-", "Ä", "A", "a" * 33, "a\n"])
def test_a_name_that_could_leave_the_folder_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=r"cluster name .* is not allowed: use at most 32"):
        cluster_folder(name, cache=tmp_path)


@pytest.mark.parametrize("name", ["a", "vaka-e2e", "a" * 32])
def test_a_cluster_lies_below_the_cache(name: str, tmp_path: Path) -> None:
    assert cluster_folder(name, cache=tmp_path).root == tmp_path / "clusters" / name

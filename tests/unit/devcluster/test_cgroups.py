from pathlib import Path

from vaka.devcluster.cgroups import create_cgroup, hierarchies, remove_cgroup

V1 = """\
proc /proc proc rw 0 0
tmpfs /sys/fs/cgroup tmpfs rw 0 0
cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0
cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0
"""


def test_hierarchies_of_both_versions_are_found() -> None:
    assert [path.name for path in hierarchies(V1)] == ["cpu", "memory", "unified"]
    assert hierarchies("cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n") == [Path("/sys/fs/cgroup")]


def test_a_group_is_made_in_each_hierarchy_and_removed_with_all_below(tmp_path: Path) -> None:
    mounts = [tmp_path / "cpu", tmp_path / "memory"]
    for mount in mounts:
        mount.mkdir()
    create_cgroup("/vaka-test", mounts)
    (tmp_path / "cpu/vaka-test/kubepods/pod1").mkdir(parents=True)
    assert remove_cgroup("/vaka-test", mounts) == []
    assert [list(mount.iterdir()) for mount in mounts] == [[], []]


def test_version_2_hands_its_controllers_down(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io memory hugetlb pids rdma\n")
    create_cgroup("/vaka-test", [tmp_path])
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+cpu +cpuset +io +memory +pids"


def test_what_cannot_be_removed_is_named(tmp_path: Path) -> None:
    (tmp_path / "vaka-test").mkdir()
    (tmp_path / "vaka-test" / "busy").touch()
    assert remove_cgroup("/vaka-test", [tmp_path], within_s=0) == [tmp_path / "vaka-test"]

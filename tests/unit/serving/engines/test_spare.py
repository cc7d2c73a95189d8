import pytest

from vaka.serving.engines.spare import spare_memory


@pytest.mark.parametrize(
    ("limit", "spare"), [("max", 8000 * 1024), ("5000", 3500), ("99999999999", 8000 * 1024)]
)
def test_the_container_and_the_machine_both_count(tmp_path, limit, spare):
    (tmp_path / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable: 8000 kB\n")
    (tmp_path / "memory.max").write_text(f"{limit}\n")
    (tmp_path / "memory.current").write_text("2000\n")
    (tmp_path / "memory.stat").write_text("anon 1500\ninactive_file 500\n")
    assert spare_memory(tmp_path, tmp_path / "meminfo") == spare


def test_without_a_container_the_machine_counts(tmp_path):
    (tmp_path / "meminfo").write_text("MemAvailable: 8000 kB\n")
    assert spare_memory(tmp_path / "none", tmp_path / "meminfo") == 8000 * 1024

"""How much more memory this process and its like may take."""

from pathlib import Path


def spare_memory(cgroup: Path = Path("/sys/fs/cgroup"), meminfo: Path = Path("/proc/meminfo")) -> int:
    """Bytes. A container's limit (cgroup v2) counts where there is one; cached files do not."""
    machine = _fields(meminfo)["MemAvailable:"] * 1024
    limit, used = cgroup / "memory.max", cgroup / "memory.current"
    if not limit.exists() or (most := limit.read_text().strip()) == "max":
        return machine
    files = _fields(cgroup / "memory.stat")["inactive_file"]
    return min(machine, int(most) - int(used.read_text()) + files)


def _fields(file: Path) -> dict[str, int]:
    return {words[0]: int(words[1]) for line in file.read_text().splitlines() if (words := line.split())}

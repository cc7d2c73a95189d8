"""How many processors this process may keep busy."""

import os
from pathlib import Path


def usable_cpus(quota: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """At least one. A container's limit (cgroup v2) counts, not the size of the machine."""
    allowed = len(os.sched_getaffinity(0))
    most, _, period = quota.read_text().partition(" ") if quota.exists() else ("max", "", "")
    return allowed if most == "max" else max(1, min(allowed, round(int(most) / int(period))))

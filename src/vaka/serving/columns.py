"""Where each of the server's counters stands in a process's row of the board."""

from bisect import bisect_left
from itertools import accumulate

from vaka.serving.board import Board

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
ROWS = (1, 2, 4, 8, 16, 32, 64)
PROTOCOLS = ("v1", "v2", "grpc", "video")
OTHER = "other"
CODES = (
    *("200", "400", "404", "413", "415", "429", "499", "500", "503", "504"),
    *("OK", "INVALID_ARGUMENT", "NOT_FOUND", "RESOURCE_EXHAUSTED", "UNAVAILABLE", "DEADLINE_EXCEEDED"),
    *("CANCELLED", "INTERNAL", "UNKNOWN", OTHER),
)
"""HTTP statuses and gRPC codes that requests end with."""

LOADING, PID, IN_FLIGHT, ENDED = range(4)
"""Columns that are of no meaning any more when the process has ended.

LOADING is 1 while it takes connections, or is about to, and has no model yet; ENDED counts connections.
"""
LASTING = 4
"""The columns from here on are counters: they stay."""


class Histogram:
    """Columns of one histogram: its buckets, the last without limit, and the sum."""

    def __init__(self, start: int, bounds: tuple[float, ...]) -> None:
        self.start = start
        self.bounds = bounds
        self.total = start + len(bounds) + 1

    def observe(self, row: "memoryview[float]", value: float) -> None:
        row[self.start + bisect_left(self.bounds, value)] += 1
        row[self.total] += value

    def buckets(self, board: Board) -> list[tuple[str, float]]:
        counts = [board.sum(self.start + i) for i in range(len(self.bounds) + 1)]
        names = [*(f"{bound:g}" if bound % 1 else f"{bound:.1f}" for bound in self.bounds), "+Inf"]
        return list(zip(names, accumulate(counts), strict=True))


REQUESTS = {pair: LASTING + i for i, pair in enumerate((p, c) for p in PROTOCOLS for c in CODES)}
_first = LASTING + len(REQUESTS)
_each = len(SECONDS) + 2
DURATIONS = {protocol: Histogram(_first + i * _each, SECONDS) for i, protocol in enumerate(PROTOCOLS)}
INFERENCE = Histogram(_first + len(PROTOCOLS) * _each, SECONDS)
WAIT = Histogram(INFERENCE.start + _each, SECONDS)
BATCH = Histogram(WAIT.start + _each, ROWS)
TAPPED = {
    pair: BATCH.total + 1 + i
    for i, pair in enumerate(
        [("shadow", result) for result in ("agree", "disagree", "error", "dropped")]
        + [("payloads", result) for result in ("logged", "error", "dropped")]
    )
}
COLUMNS = BATCH.total + 1 + len(TAPPED)

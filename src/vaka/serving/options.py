"""What a server is told when it is started."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from vaka.artifacts.manifest import FULL

if TYPE_CHECKING:
    from vaka.artifacts.cache import ModelCache

DEFAULT_VERSION = "1"
"""The version that a request means which names none."""


@dataclass(frozen=True, kw_only=True)
class ModelSource:
    """Which model: the name it is served by, where it is, and the digest it must have, if any."""

    name: str
    uri: str
    version: str = DEFAULT_VERSION
    digest: str | None = None
    precision: str = FULL
    cache: "ModelCache | None" = None
    """Where a model with a digest is kept and looked for before it is downloaded."""


@dataclass(frozen=True, kw_only=True)
class Shadowing:
    """Another server that is asked the same, for a share of the requests."""

    url: str
    percent: float = 100.0


@dataclass(frozen=True, kw_only=True)
class PayloadLogging:
    """Where a share of requests and answers goes: http(s):// as events, s3:// or file:// as objects."""

    uri: str
    mode: Literal["all", "request", "response"] = "all"
    percent: float = 100.0


@dataclass(frozen=True, kw_only=True)
class Options:
    """How it is served.

    Args:
        drain_seconds: how long to answer on after SIGTERM, until load balancers have learnt of it.
        processes: how many share the work.
        concurrency: requests that may be in work at once (0: any number); more are refused.
        timeout: seconds after which an answer is of no use any more.
        max_batch_size: rows that the model sees at once.
        max_latency: seconds that a batch may wait to be filled.
        engine: auto: another engine than ONNX Runtime, where a contest finds that it gives the same sooner.
        shadow: which other server is asked the same.
        payloads: where requests and answers are logged.
    """

    host: str
    http_port: int
    grpc_port: int | None = None
    drain_seconds: float
    processes: int = 1
    concurrency: int = 0
    timeout: float = 60.0
    max_batch_size: int = 16
    max_latency: float = 0.0
    engine: Literal["auto", "onnxruntime"] = "auto"
    shadow: Shadowing | None = None
    payloads: PayloadLogging | None = None

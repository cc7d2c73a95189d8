"""`vaka serve`: one model over HTTP, and gRPC if asked, until SIGTERM or Ctrl-C."""

import argparse
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from vaka.api.contract import HTTP_PORT
from vaka.api.types import QUANTITY, amount
from vaka.cli.errors import UserError
from vaka.cli.options import add_precision, number

if TYPE_CHECKING:
    from vaka.artifacts.cache import ModelCache
    from vaka.serving.options import ModelSource, PayloadLogging, Shadowing

DRAIN_ENV = "VAKA_DRAIN_SECONDS"
VERSIONED = r"(?P<version>[A-Za-z0-9][A-Za-z0-9._-]*)=(?P<uri>.+?)(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
PAYLOADS = r"https?://.|s3://.|file:///|kafka://[^/]+:[0-9]+/[A-Za-z0-9._-]+$"
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}"


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser("serve", help="serve a model over HTTP and gRPC", description=__doc__)
    _add_model(parser.add_argument_group("the model"))
    _add_place(parser.add_argument_group("where it listens"))
    _add_limits(parser.add_argument_group("how requests are computed"))
    _add_taps(parser.add_argument_group("what else is done with them"))
    parser.set_defaults(func=_serve)


def _add_model(parser: "argparse._ArgumentGroup") -> None:
    parser.add_argument(
        "--model",
        required=True,
        metavar="PATH-OR-URI",
        help="model folder or ONNX file: a path, file://, s3://, https://",
    )
    parser.add_argument("--name", help="name of the model in URLs (default: the last part of --model)")
    parser.add_argument("--digest", metavar="sha256:...", help="digest that the model must have")
    parser.add_argument(
        "--version",
        action="append",
        default=[],
        metavar="NAME=URI[@DIGEST]",
        help="a further version of the model, served beside it (may be given several times)",
    )
    add_precision(parser)
    parser.add_argument(
        "--model-cache",
        type=Path,
        metavar="DIR",
        help="keep downloaded models there by their digest, for other servers and later starts",
    )
    parser.add_argument(
        "--model-cache-size",
        type=_bytes,
        metavar="BYTES",
        help="at most so much of them, such as 10Gi (default: as much as the disk has)",
    )


def _add_place(parser: "argparse._ArgumentGroup") -> None:
    parser.add_argument("--host", default="0.0.0.0", help="address to listen on (default: all, %(default)s)")
    parser.add_argument("--http-port", type=_port, default=HTTP_PORT, help="default: %(default)s")
    parser.add_argument("--grpc-port", type=_port, help="also serve gRPC there (default: not at all)")
    parser.add_argument(
        "--drain-seconds",
        type=_seconds,
        default=os.environ.get(DRAIN_ENV, "3"),
        help=f"after SIGTERM, answer on for so long, not ready (default: %(default)s, or ${DRAIN_ENV})",
    )


def _add_limits(parser: "argparse._ArgumentGroup") -> None:
    parser.add_argument(
        "--processes", type=_count, help="processes that share the work (default: one for each processor)"
    )
    parser.add_argument(
        "--concurrency",
        type=_count,
        default=0,
        help="requests in work at once; more are refused (default: any number)",
    )
    parser.add_argument(
        "--timeout", type=_seconds, default=60.0, help="seconds for an answer (default: %(default)g)"
    )
    parser.add_argument(
        "--max-batch-size",
        type=_count,
        default=16,
        help="rows that the model computes at once (default: %(default)s)",
    )
    parser.add_argument(
        "--max-latency",
        type=_milliseconds,
        default=0.0,
        metavar="MS",
        help="milliseconds that requests may wait for others to join them (default: 0)",
    )
    parser.add_argument(
        "--engine",
        choices=("auto", "onnxruntime"),
        default="auto",
        help="auto: another one than ONNX Runtime where a contest finds that it gives the same sooner",
    )


def _add_taps(parser: "argparse._ArgumentGroup") -> None:
    parser.add_argument("--shadow", metavar="URL", help="ask the server there the same, compare and count")
    parser.add_argument("--shadow-percent", type=_percent, default=100.0, help="of a hundred requests")
    parser.add_argument(
        "--log-payloads",
        metavar="URI",
        help="log requests and answers: http(s)://, kafka:// (CloudEvents), s3:// or file:// (JSON lines)",
    )
    parser.add_argument("--log-mode", choices=("all", "request", "response"), default="all")
    parser.add_argument("--log-percent", type=_percent, default=100.0, help="of a hundred requests")


def _serve(arguments: argparse.Namespace) -> int:
    name = arguments.name or Path(arguments.model).stem
    if not re.fullmatch(NAME, name):
        raise UserError(f"--name {name!r}: give up to 253 letters, digits, '-', '_' or '.'")
    if arguments.digest and not re.fullmatch("sha256:[0-9a-f]{64}", arguments.digest):
        raise UserError(f"--digest {arguments.digest!r}: give sha256: and 64 hexadecimal digits")

    if arguments.model_cache and not arguments.digest and "://" in arguments.model:
        raise UserError("--model-cache needs --digest, by which a model is found there")

    from vaka import log
    from vaka.cpus import usable_cpus
    from vaka.serving.options import Options
    from vaka.serving.server import run

    log.to_stderr()
    options = Options(
        host=arguments.host,
        http_port=arguments.http_port,
        grpc_port=arguments.grpc_port,
        drain_seconds=arguments.drain_seconds,
        processes=arguments.processes or min(usable_cpus(), arguments.concurrency or usable_cpus()),
        concurrency=arguments.concurrency,
        timeout=arguments.timeout,
        max_batch_size=arguments.max_batch_size,
        max_latency=arguments.max_latency,
        engine=arguments.engine,
        shadow=_shadowing(arguments),
        payloads=_payloads(arguments),
    )
    return run([_source(arguments, name), *_versions(arguments, name)], options)


def _shadowing(arguments: argparse.Namespace) -> "Shadowing | None":
    from vaka.serving.options import Shadowing

    url = arguments.shadow
    if url and not url.startswith(("http://", "https://")):
        raise UserError(f"--shadow {url!r}: give http://HOST:PORT")
    return Shadowing(url=url, percent=arguments.shadow_percent) if url else None


def _payloads(arguments: argparse.Namespace) -> "PayloadLogging | None":
    from vaka.serving.options import PayloadLogging

    uri = arguments.log_payloads
    if uri and not re.match(PAYLOADS, uri):
        raise UserError(
            f"--log-payloads {uri!r}: give http(s)://HOST/PATH, kafka://BROKER:PORT/TOPIC, "
            "s3://BUCKET/PREFIX or file:///PATH"
        )
    given = {"mode": arguments.log_mode, "percent": arguments.log_percent}
    return PayloadLogging(uri=uri, **given) if uri else None


def _source(arguments: argparse.Namespace, name: str) -> "ModelSource":
    """The model itself."""
    from vaka.serving.options import ModelSource

    return ModelSource(
        name=name,
        uri=arguments.model,
        digest=arguments.digest,
        precision=arguments.precision,
        cache=_cache(arguments),
    )


def _versions(arguments: argparse.Namespace, name: str) -> "list[ModelSource]":
    """The further versions, each given as VERSION=URI or VERSION=URI@DIGEST."""
    from vaka.serving.options import DEFAULT_VERSION, ModelSource

    sources: list[ModelSource] = []
    for text in arguments.version:
        found = re.fullmatch(VERSIONED, text)
        if not found:
            raise UserError(f"--version {text!r}: give NAME=URI or NAME=URI@sha256:...")
        if found["version"] in {DEFAULT_VERSION, *(one.version for one in sources)}:
            raise UserError(f"--version {text!r}: there is a version {found['version']} already")
        given = {"version": found["version"], "uri": found["uri"], "digest": found["digest"]}
        sources.append(ModelSource(name=name, cache=_cache(arguments), **given))
    return sources


def _cache(arguments: argparse.Namespace) -> "ModelCache | None":
    from vaka.artifacts.cache import ModelCache

    folder = arguments.model_cache
    return ModelCache(folder=folder, limit=arguments.model_cache_size) if folder else None


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: give 0 to 65535 (0: any free one)")
    return int(text)


def _bytes(text: str) -> int:
    if not re.fullmatch(QUANTITY, text):
        raise argparse.ArgumentTypeError(f"{text!r}: give bytes, such as 500Mi or 10Gi")
    return amount(text)


def _seconds(text: str) -> float:
    return number(text, lambda seconds: 0 <= seconds <= 3600, allowed="seconds from 0 to 3600")


def _milliseconds(text: str) -> float:
    return _seconds(text) / 1000


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 100_000:
        raise argparse.ArgumentTypeError(f"{text!r}: give a whole number from 1 to 100000")
    return int(text)


def _percent(text: str) -> float:
    return number(text, lambda percent: 0 < percent <= 100, allowed="more than 0 and at most 100")

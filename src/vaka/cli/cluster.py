"""``vaka cluster``: a Kubernetes to try Vaka on, and to test it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable

from vaka.devcluster.binaries import ensure_binaries
from vaka.devcluster.choose import DEFAULT_NAME, KINDS, choose
from vaka.devcluster.errors import ClusterError
from vaka.devcluster.folders import cache_root, cluster_folder
from vaka.devcluster.providers import Provider


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``cluster`` and its verbs, each with ``func``: arguments -> exit status."""
    parser = subparsers.add_parser("cluster", help="a Kubernetes to try Vaka on", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    up = _add_verb(verbs, "up", _up, "start it, or repair what is broken; returns when it is ready")
    up.add_argument("--bare", action="store_true", help="control plane only: no root needed, no pods run")
    up.add_argument("--nodes", type=int, help="with --bare: how many nodes kwok pretends to run")
    up.set_defaults(starts=True)
    _add_verb(verbs, "down", _down, "end it and remove all of it but the cached binaries")
    _add_verb(verbs, "status", _status, "say what runs and what is broken; exit status 1 if not ready")
    load = _add_verb(verbs, "load", _load, "give its nodes images, as no registry has them")
    load.add_argument("images", nargs="+", help="a docker or OCI archive, or a name in the local image store")
    binaries = verbs.add_parser("binaries", help="build the programs of embedded and bare clusters, once")
    binaries.set_defaults(func=_binaries)
    _add_verb(verbs, "kubeconfig", _kubeconfig, "print the path of its kubeconfig")
    for program in ("kubectl", "helm"):
        verb = _add_verb(verbs, program, _program, f"run {program} against it: vaka cluster {program} -- ...")
        verb.add_argument("arguments", nargs=argparse.REMAINDER)
        verb.set_defaults(program=program)
    enter = _add_verb(
        verbs, "enter", _enter, "run a command on its node's network: vaka cluster enter -- ..."
    )
    enter.add_argument("arguments", nargs=argparse.REMAINDER)


def _add_verb(
    verbs: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    run: Callable[[argparse.Namespace, Provider], int],
    text: str,
) -> argparse.ArgumentParser:
    verb = verbs.add_parser(name, help=text, description=text)
    verb.add_argument(
        "--name", default=DEFAULT_NAME, help="several can run side by side (default: %(default)s)"
    )
    verb.add_argument(
        "--provider",
        choices=KINDS,
        default=os.environ.get("CLUSTER", "auto"),
        help="who runs it (default: $CLUSTER, else auto: kind where Docker and kind are, else embedded)",
    )
    verb.set_defaults(
        func=lambda arguments: run(arguments, _provider(arguments)),
        starts=False,
        bare=False,
        nodes=None,
    )
    return verb


def _provider(arguments: argparse.Namespace) -> Provider:
    """Who is asked for when a cluster starts, else who has it."""
    given = arguments.starts or arguments.provider == "current"
    return choose(
        arguments.provider if given else "auto",
        name=arguments.name,
        cache=cache_root(),
        say=_say,
        bare=arguments.bare,
        nodes=arguments.nodes,
    )


def _up(_: argparse.Namespace, provider: Provider) -> int:
    provider.up()
    return 0


def _down(arguments: argparse.Namespace, provider: Provider) -> int:
    provider.down()
    _say(f"cluster {arguments.name} is gone")
    return 0


def _status(_: argparse.Namespace, provider: Provider) -> int:
    status = provider.status()
    print("\n".join(status.lines))
    return 0 if status.ready else 1


def _load(arguments: argparse.Namespace, provider: Provider) -> int:
    for image in arguments.images:
        _say(f"loading {image} ...")
        _say(provider.load(image))
    return 0


def _binaries(_: argparse.Namespace) -> int:
    ensure_binaries(cache_root(), say=_say)
    return 0


def _kubeconfig(_: argparse.Namespace, provider: Provider) -> int:
    print(provider.kubeconfig)
    return 0


def _program(arguments: argparse.Namespace, provider: Provider) -> int:
    own = cluster_folder(arguments.name, cache=cache_root()).bin / arguments.program
    return _exec([str(own) if own.exists() else arguments.program, *_after_dashes(arguments)], provider)


def _enter(arguments: argparse.Namespace, provider: Provider) -> int:
    return _exec([*provider.enter(), *_after_dashes(arguments)], provider)


def _exec(argv: list[str], provider: Provider) -> int:
    try:
        os.execvpe(argv[0], argv, {**os.environ, "KUBECONFIG": str(provider.kubeconfig)})
    except FileNotFoundError as error:
        raise ClusterError(f"{argv[0]} is missing here: install it, or put it on PATH") from error


def _after_dashes(arguments: argparse.Namespace) -> list[str]:
    rest: list[str] = arguments.arguments
    return rest[1:] if rest[:1] == ["--"] else rest


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)

"""`vaka COMMAND`: each command is a module of its own, imported only when it is asked for."""

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module

import vaka
from vaka.cli.errors import UserError

COMMANDS = {
    "run": (
        "vaka.cli.run",
        "train, and serve with --serve, from the YAML of a TrainingJob, without a cluster",
    ),
    "serve": ("vaka.cli.serve", "serve a model over HTTP and gRPC"),
    "predict": ("vaka.cli.predict", "predict images, arrays or JSON with a model or a running server"),
    "evaluate": ("vaka.cli.evaluate", "measure a model on a data set"),
    "quantize": ("vaka.cli.quantize", "add a variant in int8 to a model folder, and measure what it loses"),
    "cluster": ("vaka.cli.cluster", "a Kubernetes to try Vaka on"),
    "data": ("vaka.cli.data", "the packaged data sets"),
}
USER_ERRORS = {
    "vaka.storage.errors": "StorageError",
    "vaka.artifacts.errors": "ModelError",
    "vaka.data.dataset": "DatasetError",
    "vaka.devcluster.errors": "ClusterError",
    "vaka.batch.errors": "BatchError",
}
"""Errors of the library that people can mend, by module: one that is not imported cannot have raised any."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Exit status 2 and one line for a user's error, 1 for any other failure."""
    words = sys.argv[1:] if argv is None else list(argv)
    arguments = _parser(words[0] if words else "").parse_args(words)
    try:
        status: int = arguments.func(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # the reader has gone: nothing to flush
        return 1
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        return _failed(error)
    return status


def _parser(command: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="vaka", description=vaka.__doc__)
    parser.add_argument("--version", action="version", version=f"vaka {vaka.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, (module, text) in COMMANDS.items():
        if name == command:
            import_module(module).add_parser(commands)
        else:
            commands.add_parser(name, help=text)
    return parser


def _failed(error: Exception) -> int:
    known = [
        getattr(sys.modules[module], name) for module, name in USER_ERRORS.items() if module in sys.modules
    ]
    users = isinstance(error, (UserError, OSError, *known))
    if os.environ.get("VAKA_DEBUG") == "1":
        traceback.print_exception(error)
    elif users:
        print(f"vaka: {_sentence(error)}", file=sys.stderr)
    else:
        hint = "VAKA_DEBUG=1 shows where"
        print(f"vaka: unexpected {type(error).__name__}: {error} ({hint})", file=sys.stderr)
    return 2 if users else 1


def _sentence(error: Exception) -> str:
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error)
    return f"{error.filename}: {error.strerror}" if error.filename else error.strerror


if __name__ == "__main__":
    sys.exit(main())

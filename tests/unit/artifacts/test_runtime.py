"""What runs a published graph keeps to itself."""

import os
import subprocess
import sys
from pathlib import Path

CODE = """
import sys
from pathlib import Path
from vaka.artifacts.runtime import predictor
predictor(Path(sys.argv[1]))
"""


def test_onnx_runtime_does_not_report_what_it_runs(models, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    # It is silent under CI and in tests by itself, as it takes these to be.
    environment = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    environment |= {"HOME": str(home)}
    words = [sys.executable, "-c", CODE, str(models.identity(tmp_path / "g.onnx"))]
    subprocess.run(words, check=True, env=environment, cwd=Path(__file__).parents[3])
    assert [path for path in home.rglob("*") if path.is_file()] == []

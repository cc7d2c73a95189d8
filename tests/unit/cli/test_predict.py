import io
import json
import socket
import subprocess
import sys

import httpx
import numpy as np
import pytest
from PIL import Image

from vaka.cli.__main__ import main


@pytest.fixture(scope="module")
def model(models, tmp_path_factory):
    return str(models.brightness(tmp_path_factory.mktemp("served") / "model"))


@pytest.fixture(scope="module")
def url(model):
    """Of a server of the model."""
    command = [sys.executable, "-m", "vaka.cli", "serve", "--model", model, "--name", "shades"]
    command += ["--host", "127.0.0.1", "--http-port", "0", "--drain-seconds", "0", "--processes", "1"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            line = next(line for line in server.stderr if "listening on" in line)
            found = json.loads(line)["msg"].split()[2].rstrip(",")
            while httpx.get(f"{found}/v2/health/ready").status_code != 200:
                assert server.poll() is None
            yield found
        finally:
            server.terminate()
            server.communicate()


@pytest.fixture
def inputs(tmp_path):
    """A dark PNG, a bright .npy and JSON of both."""
    Image.new("L", (8, 6), 10).save(tmp_path / "dark.png")
    np.save(tmp_path / "bright.npy", np.full((3, 4), 250, np.uint8))
    (tmp_path / "both.json").write_text(json.dumps({"instances": [[0] * 12, [255] * 12]}))
    return [str(tmp_path / name) for name in ("dark.png", "bright.npy", "both.json")]


def labels(out):
    return [json.loads(line)["prediction"]["label"] for line in out.splitlines()]


def test_files_and_servers_give_one_result_for_each_input(model, url, inputs, capsys):
    expected = ["dark", "bright", "dark", "bright"]
    for where in (["--model", model], ["--url", url], ["--url", f"{url}/", "--name", "shades"]):
        assert main(["predict", *where, "--json", *inputs]) == 0
        assert labels(capsys.readouterr().out) == expected


def test_the_table_shows_names_and_certainty(model, inputs, capsys):
    assert main(["predict", "--model", model, *inputs]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == ["dark", "bright", "dark", "bright"]
    assert lines[3].split() == [f"{inputs[2]}[1]", "bright", "100.0%"]


def test_json_may_come_from_standard_input(model, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps([255] * 12).encode())))
    assert main(["predict", "--model", model, "--json", "-"]) == 0
    assert labels(capsys.readouterr().out) == ["bright"]


def test_a_bare_graph_gives_its_rows(models, tmp_path, capsys):
    (tmp_path / "row.json").write_text("[1, 2]")
    words = ["--model", str(models.identity(tmp_path / "net.onnx")), str(tmp_path / "row.json")]
    assert main(["predict", *words]) == 0
    assert capsys.readouterr().out.endswith("row.json  [1.0,2.0]\n")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("none.png", None, "there is no such file"),
        ("a.txt", b"", "give .png, .jpg, .jpeg, .npy, .json"),
        ("a.json", b"{", "is no JSON"),
        ("a.npy", b"no", "is no .npy file of numbers"),
        (
            "a.npy",
            b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
            "is no .npy",
        ),
        ("a.png", b"no picture", "this is neither PNG nor JPEG"),
        ("a.json", b"[1, 2]", "has shape [2], the model takes [3, 4]"),
        ("a.json", b'{"instances": [[1, 2]]}', "a.json[0]: has shape [2]"),
    ],
)
@pytest.mark.parametrize("remote", [False, True])
def test_a_bad_input_is_named(model, url, tmp_path, capsys, name, content, said, remote):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    where = ["--url", url] if remote else ["--model", model]
    assert main(["predict", *where, str(tmp_path / name)]) == 2
    told = capsys.readouterr().err
    assert str(tmp_path / name) in told
    assert said in told


def test_a_server_that_is_not_there_is_named(inputs, capsys):
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    assert main(["predict", "--url", url, *inputs]) == 2
    assert f"{url}/v1/models cannot be reached" in capsys.readouterr().err


def test_an_unknown_model_of_a_server_is_told(url, inputs, capsys):
    assert main(["predict", "--url", url, "--name", "other", *inputs]) == 2
    assert "answers 404: no model 'other' is served here, only 'shades'" in capsys.readouterr().err


@pytest.mark.parametrize("url", ["file:///etc/passwd", "127.0.0.1:8080"])
def test_other_urls_are_refused(url, inputs, capsys):
    assert main(["predict", "--url", url, *inputs]) == 2
    assert "give http://HOST:PORT" in capsys.readouterr().err

import socket

import pytest

from vaka.cli.__main__ import main


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--name", "a/b"], "--name 'a/b': give up to 253 letters"),
        (["--model", "s3://b/m", "--model-cache", "c"], "--model-cache needs --digest"),
        (["--digest", "sha256:12"], "--digest 'sha256:12': give sha256: and 64 hexadecimal digits"),
    ],
)
def test_a_wrong_option_is_named(words, said, capsys):
    assert main(["serve", "--model", "m", *words]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--http-port", "70000"], "'70000' is no port: give 0 to 65535"),
        (["--http-port", "-1"], "is no port"),
        (["--model-cache-size", "much"], "'much': give bytes, such as 500Mi or 10Gi"),
        (["--drain-seconds", "soon"], "'soon': give seconds from 0 to 3600"),
        (["--drain-seconds", "nan"], "give seconds"),
    ],
)
def test_a_wrong_number_is_refused_with_what_is_allowed(words, said, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["serve", "--model", "m", *words])
    assert said in capsys.readouterr().err


def test_the_drain_may_come_from_the_environment(monkeypatch, capsys):
    monkeypatch.setenv("VAKA_DRAIN_SECONDS", "never")
    with pytest.raises(SystemExit, match="2"):
        main(["serve", "--model", "m"])
    assert "'never': give seconds" in capsys.readouterr().err


def test_a_taken_port_is_named(tmp_path, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        words = ["--model", str(tmp_path), "--host", "127.0.0.1", "--http-port", port]
        assert main(["serve", *words]) == 2
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in capsys.readouterr().err

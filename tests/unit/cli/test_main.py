import subprocess
import sys

import pytest

import vaka
from vaka.cli import __main__ as main_module
from vaka.cli.__main__ import COMMANDS, main
from vaka.cli.errors import UserError
from vaka.storage import NotFound


@pytest.fixture
def failing(monkeypatch):
    """Makes `vaka serve` raise an error."""

    def fail(error):
        def command(_arguments):
            raise error

        class Module:
            @staticmethod
            def add_parser(subparsers):
                subparsers.add_parser("serve").set_defaults(func=command)

        monkeypatch.setattr(main_module, "import_module", lambda _: Module)

    return fail


def test_the_version_is_told(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"vaka {vaka.__version__}\n"


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    told = capsys.readouterr().out
    assert all(name in told for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_its_own_help(command, capsys):
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    assert f"usage: vaka {command}" in capsys.readouterr().out


@pytest.mark.parametrize("words", [[], ["no-such"], ["serve", "--http-port", "x"]])
def test_wrong_usage_ends_with_two(words, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(words)
    assert "usage: vaka" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (UserError("this is wrong"), "vaka: this is wrong\n"),
        (NotFound("s3://b: nothing"), "vaka: s3://b: nothing\n"),
        (PermissionError(13, "Permission denied", "/x"), "vaka: /x: Permission denied\n"),
    ],
)
def test_a_users_error_is_one_line_and_ends_with_two(failing, capsys, error, line):
    failing(error)
    assert main(["serve"]) == 2
    assert capsys.readouterr().err == line


def test_an_unexpected_error_shows_its_trace_only_when_asked(failing, capsys, monkeypatch):
    failing(ZeroDivisionError("oops"))
    monkeypatch.delenv("VAKA_DEBUG", raising=False)
    assert main(["serve"]) == 1
    assert capsys.readouterr().err == "vaka: unexpected ZeroDivisionError: oops (VAKA_DEBUG=1 shows where)\n"
    monkeypatch.setenv("VAKA_DEBUG", "1")
    assert main(["serve"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_an_interrupt_ends_quietly(failing, capsys):
    failing(KeyboardInterrupt())
    assert main(["serve"]) == 130
    assert capsys.readouterr().err == ""


LEARNING = {
    "torch",
    "pydantic",
    "rich",
    "yaml",
    "PIL",
    "vaka.training",
    "vaka.api.architectures",
    "vaka.cli.run",
}
FIRST, OTHERS = "vaka.cli.serve, vaka.serving.server", "vaka.serving.worker, vaka.serving.grpc"


@pytest.mark.parametrize(
    ("modules", "heavy"), [(FIRST, LEARNING | {"numpy", "onnxruntime", "grpc"}), (OTHERS, LEARNING)]
)
def test_the_processes_of_a_server_import_no_more_than_they_need(modules, heavy):
    script = f"import sys, {modules}; print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not heavy & set(told.stdout.split())

import json

import pyarrow.parquet as pq
import pytest

from vaka.cli.__main__ import main


@pytest.fixture
def words(models, tmp_path):
    (tmp_path / "in.jsonl").write_text("\n".join(json.dumps(row) for row in ([0] * 12, "bad", [255] * 12)))
    model = str(models.brightness(tmp_path / "model"))
    return [
        "predict",
        "--model",
        model,
        "--input",
        str(tmp_path / "in.jsonl"),
        "--output",
        str(tmp_path / "out"),
    ]


@pytest.mark.parametrize(("allowed", "status"), [("0", 65), ("1", 0)])
def test_the_exit_status_says_whether_too_many_rows_are_bad(words, tmp_path, capsys, allowed, status):
    for _ in range(2):  # a second time it counts what is there
        assert main([*words, "--max-errors", allowed]) == status
        assert "3 rows in" in (told := capsys.readouterr().err)
        assert ("--max-errors allows 0" in told) == (status != 0)
    assert pq.read_table(tmp_path / "out")["label"].to_pylist() == ["dark", None, "bright"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"--model": None}, "one of the arguments --model --url is required"),
        ({"--output": None}, "a batch needs --model, --input and --output"),
        ({"--input": "/none"}, "there is no /none"),
        ({"--digest": "sha256:" + "0" * 64}, "expected sha256:000"),
        ({"--shard": "2/2"}, "'2/2': give I/N"),
        ({"--rows-per-part": "0"}, "'0': give a whole number, 1 or more"),
        ({"--max-errors": "-1"}, "give a whole number, 0 or more"),
        ({"x.png": None}, "give --input or INPUT, not both"),
    ],
)
def test_what_is_wrong_with_the_options_is_said(words, capsys, change, said):
    given = dict(zip(words[1::2], words[2::2], strict=True)) | change
    if "x.png" in change:
        argv = [*words, "x.png"]
    else:
        argv = ["predict", *(word for pair in given.items() if pair[1] is not None for word in pair)]
    try:
        status = main(argv)
    except SystemExit as error:
        status = error.code
    assert status == 2
    assert said in capsys.readouterr().err

"""The report: served at once, and whole at the end."""

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaka.api.contract import Report
from vaka.api.reasons import Reason
from vaka.api.types import Metric
from vaka.log import JsonFormatter
from vaka.training.endpoint import Endpoint, serve
from vaka.training.report import TERMINATION_BYTES, Reporter


@pytest.fixture
def reporter() -> Reporter:
    return Reporter()


@pytest.fixture
def endpoint(reporter: Reporter) -> Iterator[Endpoint]:
    endpoint = serve(reporter, host="127.0.0.1", port=0, labels={"name": "j", "namespace": "n"})
    yield endpoint
    endpoint.shutdown()
    endpoint.server_close()


def test_the_newest_report_is_served(reporter: Reporter, endpoint: Endpoint) -> None:
    url = f"http://127.0.0.1:{endpoint.port}/report"
    assert httpx.get(url).json() == {"reason": "Starting"}
    reporter.say(Reason.STORAGE_UNREACHABLE, "s3://b is away", waiting=True)
    answer = httpx.get(url)
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {"reason": "StorageUnreachable", "message": "s3://b is away", "waiting": True}


def test_metrics_agree_with_the_report(reporter: Reporter, endpoint: Endpoint) -> None:
    reporter.update(
        reason=Reason.TRAINING,
        progress_percentage=42,
        estimated_remaining_seconds=7,
        step=100,
        metrics=[Metric(name="loss", value="0.25"), Metric(name="samplesPerSecond", value="1900")],
    )
    text = httpx.get(f"http://127.0.0.1:{endpoint.port}/metrics").text
    for line in (
        'vaka_training_info{name="j",namespace="n",reason="Training"} 1.0',
        "vaka_training_waiting 0.0",
        "vaka_training_progress_ratio 0.42",
        "vaka_training_remaining_seconds 7.0",
        "vaka_training_step 100.0",
        "vaka_training_loss 0.25",
        "vaka_training_samples_per_second 1900.0",
    ):
        assert line in text.splitlines()


def test_anything_else_is_not_found(endpoint: Endpoint) -> None:
    answer = httpx.get(f"http://127.0.0.1:{endpoint.port}/secrets")
    assert answer.status_code == 404
    assert "/report, /metrics" in answer.text


def test_it_answers_on_every_address_of_both_families(reporter: Reporter) -> None:
    endpoint = serve(reporter, host="", port=0, labels={})
    try:
        assert httpx.get(f"http://127.0.0.1:{endpoint.port}/report").status_code == 200
    finally:
        endpoint.shutdown()
        endpoint.server_close()


@given(message=st.text(max_size=9000))
def test_the_termination_message_always_fits_and_always_parses(
    message: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("log") / "termination"
    reporter = Reporter()
    reporter.update(reason=Reason.TRAINER_FAILED, message=message)
    reporter.write(file)
    assert file.stat().st_size <= TERMINATION_BYTES
    read = msgspec.json.decode(file.read_bytes(), type=Report)
    assert message.startswith(read.message)
    assert read.message == message or len(read.message) > 300


def test_a_place_that_cannot_be_written_is_no_failure(reporter: Reporter, tmp_path: Path) -> None:
    reporter.write(tmp_path / "missing" / "log")


def test_a_log_line_is_one_json_object() -> None:
    record = logging.LogRecord("vaka", logging.WARNING, "", 0, "line %s\nnext", ("one",), None)
    record.fields = {"step": 3}
    line = JsonFormatter().format(record)
    entry = msgspec.json.decode(line)
    assert "\n" not in line
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", entry.pop("ts"))
    assert entry == {"level": "warning", "msg": "line one\nnext", "step": 3}

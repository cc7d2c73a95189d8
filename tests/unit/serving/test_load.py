"""From a URI to a loaded model: what is told meanwhile, and what a cache spares."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from vaka.api.contract import Report
from vaka.artifacts.cache import ModelCache
from vaka.artifacts.errors import DigestMismatch
from vaka.artifacts.read import digest_at
from vaka.serving.load import load
from vaka.serving.options import ModelSource


def test_how_far_the_download_is_stands_in_the_report(models, web, tmp_path):
    url, folder = web.url, web.folder
    models.identity(folder / "m.onnx")
    told: list[Report] = []
    load(ModelSource(name="m", uri=f"{url}/m.onnx"), tmp_path / "scratch", tell=told.append)
    assert told[-1].progress_percentage == 100
    assert told[-1].waiting
    assert told[-1].message == f"loading {url}/m.onnx: 0 of 0 MB"


def test_a_second_server_finds_the_model_in_the_cache(models, web, tmp_path):
    url, folder, asked = web.url, web.folder, web.asked
    digest = digest_at(models.identity(folder / "m.onnx"))
    source = ModelSource(
        name="m", uri=f"{url}/m.onnx", digest=digest, cache=ModelCache(folder=tmp_path / "cache")
    )
    for scratch in ("one", "two"):
        model = load(source, tmp_path / scratch)
        x = np.ones((1, 2), np.float32)
        assert model.predictor.predict({"x": x})["y"].tolist() == [[1, 1]]
    assert asked == ["/m.onnx"]
    assert not (tmp_path / "one").exists()


def test_a_model_without_a_digest_is_not_looked_for_in_the_cache(models, web, tmp_path):
    url, folder, asked = web.url, web.folder, web.asked
    models.identity(folder / "m.onnx")
    source = ModelSource(name="m", uri=f"{url}/m.onnx", cache=ModelCache(folder=tmp_path / "cache"))
    load(source, tmp_path / "one")
    load(source, tmp_path / "two")
    assert asked == ["/m.onnx"] * 2


def test_processes_of_one_server_download_once(models, web, tmp_path):
    url, folder, asked = web.url, web.folder, web.asked
    models.identity(folder / "m.onnx")
    source = ModelSource(name="m", uri=f"{url}/m.onnx")
    with ThreadPoolExecutor(3) as processes:
        list(processes.map(lambda _: load(source, tmp_path / "scratch"), range(3)))
    assert asked == ["/m.onnx"]


def test_what_was_downloaded_damaged_is_downloaded_anew(models, web, tmp_path):
    url, folder = web.url, web.folder
    (folder / "m.onnx").write_bytes(b"damaged")
    source = ModelSource(
        name="m", uri=f"{url}/m.onnx", digest=digest_at(models.identity(tmp_path / "m.onnx"))
    )
    with pytest.raises(DigestMismatch):
        load(source, tmp_path / "scratch")
    (tmp_path / "m.onnx").replace(folder / "m.onnx")
    assert load(source, tmp_path / "scratch").digest == source.digest

"""What training leaves behind: the model folder with its manifest."""

import platform
import shutil
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import torch
from msgspec import structs
from torch import nn

import vaka
from vaka.api.architectures.base import Hyperparameters
from vaka.api.run import Run
from vaka.artifacts.manifest import GRAPH, MANIFEST, Manifest, encode
from vaka.artifacts.publish import files_of
from vaka.artifacts.quantize import add_int8
from vaka.artifacts.runtime import predictor
from vaka.models.architecture import Learner, Metrics
from vaka.training.card import card_for, learning, write_card
from vaka.training.export import export
from vaka.training.history import History


def write_model(
    folder: Path,
    *,
    run: Run,
    task: str,
    hyper: Hyperparameters,
    learner: Learner,
    network: nn.Module,
    history: History,
    costs: Metrics,
) -> Metrics:
    """Export the network and describe it; the result is what the published graph achieves, and its costs."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    graph = learner.graph(network)
    export(graph, network, folder)
    predict = predictor(folder / GRAPH)
    metrics = learner.test(predict) | costs
    card = card_for(run.spec.model.architecture, learner, predict)
    precisions = run.spec.output.precisions
    variants = [add_int8(folder, samples=learner.samples(), measure=learner.test) for _ in precisions]
    manifest = Manifest(
        name=run.name,
        architecture=run.spec.model.architecture,
        task=task,
        signature=graph.signature,
        image=graph.image,
        labels=graph.labels,
        options=dict(graph.options),
        metrics=metrics,
        details=card.details,
        notes=list(learner.data.notes),
        hyperparameters=msgspec.to_builtins(hyper),
        provenance=provenance(run, hyper.seed),
        files={},
        variants=variants,
    )
    curves = learning(history, learner.measure.name, learner.steps_per_epoch)
    write_card(folder, manifest, [curves, *card.sections])
    whole = structs.replace(manifest, files=files_of(folder))
    (folder / MANIFEST).write_bytes(encode(whole))
    return metrics


def provenance(run: Run, seed: int) -> dict[str, str]:
    """Where the model comes from."""
    return {
        "trainingJob": f"{run.namespace}/{run.name}",
        "uid": run.uid,
        "dataset": run.spec.dataset.storage_uri,
        "datasetSeed": str(run.spec.dataset.seed),
        "seed": str(seed),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "vaka": vaka.__version__,
        "torch": str(torch.__version__),
        "python": platform.python_version(),
    }

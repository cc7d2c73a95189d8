"""A trial of a search: a TrainingJob like the one that searches, with hyper-parameters of its own."""

import msgspec

from vaka.api.contract import LABEL_SEARCH
from vaka.api.search import trial_name
from vaka.api.trainingjob import TrainingJobSpec
from vaka.api.types import API_VERSION
from vaka.search.study import Trial
from vaka.search.trial import trial_spec
from vaka_operator.manifests import storage
from vaka_operator.manifests.meta import JSON, MANAGED_BY, MANAGER, Owner


def trial_job(owner: Owner, spec: TrainingJobSpec, trial: Trial) -> JSON:
    """The TrainingJob of a trial, which belongs to `owner` and goes with it.

    Where no output is named each has a claim of its own: trials on different nodes cannot share one.
    """
    labels = {LABEL_SEARCH: owner.name, "app.kubernetes.io/part-of": "vaka", MANAGED_BY: MANAGER}
    return {
        "apiVersion": API_VERSION,
        "kind": "TrainingJob",
        "metadata": {
            "name": trial_name(owner.name, trial.number),
            "namespace": owner.namespace,
            "labels": labels,
            "ownerReferences": [owner.reference],
        },
        "spec": msgspec.to_builtins(trial_spec(_placed(owner, spec), trial)),
    }


def _placed(owner: Owner, spec: TrainingJobSpec) -> TrainingJobSpec:
    """With the folder in the claim that an output without one means."""
    uri = spec.output.storage_uri
    folder = uri and storage.model_folder(uri, name=owner.name)
    return msgspec.structs.replace(spec, output=msgspec.structs.replace(spec.output, storage_uri=folder))

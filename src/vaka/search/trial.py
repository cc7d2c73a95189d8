"""A trial as a training of its own."""

import msgspec

from vaka.api.search import trial_folder
from vaka.api.trainingjob import TrainingJobSpec
from vaka.search.study import Trial


def trial_spec(spec: TrainingJobSpec, trial: Trial) -> TrainingJobSpec:
    """The specification with the trial's hyper-parameters, and a folder of its own in the output, if one is
    named. What holds for the search as a whole is left to it: suspension, deadline, time to live."""
    uri = spec.output.storage_uri
    folder = uri and f"{uri.rstrip('/')}/{trial_folder(trial.number)}"
    given = spec.model.hyperparameters | trial.parameters
    return msgspec.structs.replace(
        spec,
        model=msgspec.structs.replace(spec.model, hyperparameters=given),
        output=msgspec.structs.replace(spec.output, storage_uri=folder),
        search=None,
        suspend=False,
        active_deadline_seconds=None,
        ttl_seconds_after_finished=None,
    )

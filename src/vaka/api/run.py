"""What the operator, or `vaka run`, tells a trainer to do."""

import msgspec

from vaka.api.trainingjob import TrainingJobSpec


class Run(msgspec.Struct, rename="camel", kw_only=True, frozen=True):
    """One training run. Inside a pod every storageUri is file://, s3:// or https://: the operator has
    mounted what pkg:// and pvc:// mean; `public_output` is the name that people know the result by, and
    `public_checkpoint` that of the folder of this run's checkpoints (none where it keeps none)."""

    name: str
    namespace: str
    uid: str
    spec: TrainingJobSpec
    public_output: str
    public_checkpoint: str = ""

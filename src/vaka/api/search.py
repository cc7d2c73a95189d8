"""spec.search of a TrainingJob: which hyper-parameters are tried, and status.search: what came of it."""

from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta

from vaka.api.types import Metric, Opaque, Resource, Rule, said

SEARCH = (
    "Tries hyper-parameters in trials, each a TrainingJob NAME-trial-NNN that this one owns, and publishes "
    "the best: status.model is that trial's model, which stays where the trial put it, a claim of its own or "
    "the folder trial-NNN of output.storageUri. activeDeadlineSeconds is for all trials together: when it is "
    "over, the best so far is taken."
)
NAME_DIGITS = 3
LONGEST_PARENT = 52 - len("-trial-") - NAME_DIGITS
MAX_TRIALS = 200
"""What the status, which tells of every trial, has room for."""
VALUES_KEPT = 32
"""Of each trial, for the same reason."""


class ParameterSpec(Resource, frozen=True):
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("has(self.min) == has(self.max)", "min and max go together"),
        Rule("!has(self.min) || !has(self.max) || self.min < self.max", "min must be less than max"),
        Rule("!self.log || !has(self.min) || self.min > 0.0", "log needs a min above 0"),
        Rule("!self.log || !has(self.step)", "log and step exclude each other"),
        Rule("has(self.min) || (!self.log && !has(self.step))", "log and step go with min and max"),
    )
    name: Annotated[
        str,
        said("The hyper-parameter, such as learningRate.", minLength=1, maxLength=63, pattern="^[A-Za-z]"),
    ]
    min: Annotated[float, said("The least value that is tried.")] | None = None
    max: Annotated[float, said("The greatest value that is tried.")] | None = None
    log: Annotated[bool, said("True tries each order of magnitude equally often.")] = False
    step: (
        Annotated[float, Meta(gt=0, description="The distance between values; default: any value.")] | None
    ) = None
    choices: (
        Annotated[
            list[Any], said("The values that are tried, in place of min and max.", minItems=1, maxItems=50)
        ]
        | None
    ) = None


class ObjectiveSpec(Resource, frozen=True):
    metric: (
        Annotated[
            str,
            said(
                "Which metric of the trained model decides; default: the architecture's main one.",
                minLength=1,
                maxLength=63,
            ),
        ]
        | None
    ) = None
    goal: Annotated[Literal["maximize", "minimize"], said("Whether more or less of it is better.")] = (
        "maximize"
    )


class SearchSpec(Resource, frozen=True):
    parameters: Annotated[
        list[ParameterSpec],
        said(
            "The hyper-parameters that are searched; the others are as in spec.model.hyperparameters.",
            **{"minItems": 1, "maxItems": 20, "x-kubernetes-list-type": "map"},
            **{"x-kubernetes-list-map-keys": ["name"]},
        ),
    ]
    max_trials: Annotated[
        int, Meta(ge=1, le=MAX_TRIALS, description="How many trials are made in all; may be changed later.")
    ] = 20
    parallel_trials: Annotated[
        int, Meta(ge=1, le=100, description="How many trials run at once at most; may be changed later.")
    ] = 1
    objective: Annotated[ObjectiveSpec, said("What the trials are compared by.")] = ObjectiveSpec()
    sampler: Annotated[
        Literal["tpe", "random"],
        said("How values are chosen: near those that did well (tpe, after ten trials), or at random."),
    ] = "tpe"
    pruner: Annotated[
        Literal["median", "none"],
        said(
            "Whether a trial is stopped as soon as it does worse than the median of the finished ones did at "
            "the same epoch (median, after five trials), or never."
        ),
    ] = "median"
    seed: Annotated[int, Meta(ge=0, description="Seed of the choices.")] = 0


class TrialStatus(Resource, frozen=True):
    """What is known of a trial; it outlives the trial's own TrainingJob."""

    name: Annotated[str, said("Its TrainingJob.")]
    state: Annotated[str, said("Pending, Running, Succeeded, Failed or Pruned.")]
    hyperparameters: Annotated[Opaque, said("Those that are searched.")] = {}
    value: Annotated[str, said("The objective of its model.")] | None = None
    values: Annotated[dict[str, str], said("The objective by epoch, thinned out where there are many.")] = {}
    reason: Annotated[str, said("Why it failed or was stopped.")] | None = None
    message: Annotated[str, said("The same in a sentence.")] | None = None


class BestTrial(Resource, frozen=True):
    name: Annotated[str, said("Its TrainingJob.")]
    value: Annotated[str, said("Its objective.")]
    hyperparameters: Annotated[Opaque, said("All that were given to it.")] = {}
    uri: Annotated[str, said("Where its model folder is.")] | None = None
    digest: Annotated[str, said("sha256 of the manifest of its model.")] | None = None
    metrics: list[Metric] = []


class SearchStatus(Resource, frozen=True):
    total: Annotated[int, said("How many trials there are so far.")] = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    pruned: int = 0
    best_trial: Annotated[BestTrial, said("The best so far.")] | None = None
    trials: list[TrialStatus] = []


_FIXED = ("parameters", "objective", "sampler", "pruner", "seed")


def search_rules(started: str) -> tuple[Rule, ...]:
    """What holds between a TrainingJob's spec.search and the rest of it; `started` is CEL."""
    given, before = "has(self.spec.search)", "has(oldSelf.spec.search)"
    same = " && ".join(f"self.spec.search.{field} == oldSelf.spec.search.{field}" for field in _FIXED)
    return (
        Rule(
            f"!({started}) || ({given} == {before} && (!{given} || ({same})))",
            "spec.search cannot be changed after the job has started, but for maxTrials and parallelTrials: "
            "delete the job and create it anew",
        ),
        Rule(
            f"!{given} || size(self.metadata.name) <= {LONGEST_PARENT}",
            f"metadata.name must be at most {LONGEST_PARENT} characters where spec.search is given: "
            "its trials are named NAME-trial-NNN",
        ),
    )


def trial_name(parent: str, number: int) -> str:
    """The TrainingJob of a trial; trials count from 1."""
    return f"{parent}-{trial_folder(number)}"


def trial_folder(number: int) -> str:
    """The folder of a trial's model in the output."""
    return f"trial-{number:0{NAME_DIGITS}}"


def trial_number(name: str) -> int:
    """The number of a trial by its TrainingJob's name."""
    return int(name.rpartition("-")[2])

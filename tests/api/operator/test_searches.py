"""spec.search against a real API server: its trials, and what becomes of them."""

import contextlib
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from vaka_operator.cluster import Cluster, Conflict
from vaka_operator.handlers import trainingjobs
from vaka_operator.handlers.world import World

pytestmark = pytest.mark.api

JSON = dict[str, Any]
Start = Callable[..., Awaitable[JSON]]
NOW = "2026-01-01T00:00:00Z"
EXAMPLE = Path(__file__).parents[3] / "examples" / "mnist-search.yaml"
SEARCH = {"maxTrials": 3, "parallelTrials": 2, "parameters": [{"name": "width", "min": 8, "max": 64}]}


def width(trial: JSON) -> int:
    found: int = trial["spec"]["model"]["hyperparameters"]["width"]
    return found


def condition(resource: JSON, kind: str) -> JSON:
    found: list[JSON] = resource["status"]["conditions"]
    return next((c for c in found if c["type"] == kind), {})


class Trials:
    """The trials of a search, and what a kubelet would say of their pods."""

    def __init__(self, world: World, namespace: Any, until: Any) -> None:
        self.world = world
        self._namespace = namespace
        self._until = until

    def there(self) -> list[JSON]:
        return [job for job in self._namespace.list("tj") if "search" not in job["spec"]]

    def names(self) -> list[str]:
        return [trial["metadata"]["name"] for trial in self.there()]

    async def reconcile(self, rounds: int = 3) -> JSON:
        """Everything, as often as it takes; gives the search."""
        for _ in range(rounds):
            for name in ("digits", *self.names()):
                await self.look(name)
        return await self.look("digits")

    async def look(self, name: str) -> JSON:
        """Reconcile one, as it then is."""
        try:
            await trainingjobs.reconcile(self.world, self._namespace.name, name)
        except Conflict:
            return await self.look(name)
        found: JSON = self._namespace.get("tj", name)
        return found

    async def end(self, name: str, code: int = 0, **metrics: float) -> None:
        """The trial's pod ends, and its Job with it."""
        pod = (await self._until(lambda: self.pods(name)))[-1]
        model = {"uri": "file:///x", "digest": "sha256:" + "a" * 64}
        measured = [{"name": metric, "value": str(value)} for metric, value in metrics.items()]
        report = json.dumps({"reason": "Succeeded", "model": model | {"metrics": measured}})
        state = {"exitCode": code, "reason": "Completed", "message": "boom" if code else report}
        times = {"startedAt": NOW, "finishedAt": NOW}
        phase = "Failed" if code else "Succeeded"
        self._namespace.set_pod(pod, phase, {"terminated": state | times})
        if code:  # the operator has its Job end for it
            await self._until(lambda: self._namespace.get("job", name)["status"].get("failed"))
            await self.look(name)
        await self._until(lambda: self._ended(name))

    def pods(self, name: str) -> list[JSON]:
        pods = self._namespace.list("pod")
        return [pod for pod in pods if pod["metadata"]["labels"]["vaka.dev/training-job"] == name]

    def _ended(self, name: str) -> bool:
        conditions = self._namespace.get("job", name)["status"].get("conditions", [])
        return any(c["type"] in ("Complete", "Failed") and c["status"] == "True" for c in conditions)


@pytest.fixture
def trials(world: World, namespace: Any, until: Any) -> Trials:
    return Trials(world, namespace, until)


@pytest.fixture
def start(namespace: Any, training_job: Any, trials: Trials) -> Callable[..., Awaitable[JSON]]:
    """A search whose first trials are there."""

    async def started(**fields: Any) -> JSON:
        search = SEARCH | fields.pop("search", {})
        namespace.create("tj", training_job(search=search, backoffLimit=0, **fields))
        return await trials.reconcile()

    return started


def counts(search: JSON) -> JSON:
    kinds = ("total", "running", "succeeded", "failed", "pruned")
    return {kind: number for kind in kinds if (number := search["status"]["search"][kind])}


async def test_the_best_of_the_trials_is_published(
    namespace: Any, inference_service: Any, start: Start, trials: Trials, serve: Any
) -> None:
    search = await start()
    assert trials.names() == ["digits-trial-001", "digits-trial-002"]
    assert counts(search) == {"total": 2}
    await trials.end("digits-trial-001", accuracy=0.7)
    search = await trials.reconcile()
    assert trials.names() == ["digits-trial-001", "digits-trial-002", "digits-trial-003"]
    assert (search["status"]["progress"], search["status"]["metric"]) == ("33%", "accuracy=0.7")
    assert "model" not in search["status"]
    await trials.end("digits-trial-003", accuracy=0.9)
    await trials.end("digits-trial-002", code=1)
    search = await trials.reconcile()
    best = search["status"]["search"]["bestTrial"]
    assert (best["name"], best["value"]) == ("digits-trial-003", "0.9")
    assert best["hyperparameters"] == {"width": width(namespace.get("tj", "digits-trial-003"))}
    model = namespace.get("tj", "digits-trial-003")["status"]["model"]
    assert search["status"]["model"] == model
    assert (search["status"]["state"], search["status"]["progress"]) == ("Complete", "100%")
    assert counts(search) == {"total": 3, "succeeded": 2, "failed": 1}
    assert "best accuracy=0.9 (digits-trial-003)" in condition(search, "Complete")["message"]
    namespace.create("isvc", inference_service())
    await serve()
    (made,) = namespace.list("deployment")
    assert made["spec"]["template"]["metadata"]["annotations"]["vaka.dev/model-digest"] == model["digest"]


async def test_trials_write_below_the_output_that_people_name(
    namespace: Any, start: Start, trials: Trials
) -> None:
    await start(output={"storageUri": "pvc://models/digits"}, activeDeadlineSeconds=999)
    first = namespace.get("tj", "digits-trial-001")["spec"]
    assert first["output"]["storageUri"] == "pvc://models/digits/trial-001"
    assert not {"search", "activeDeadlineSeconds"} & first.keys()
    assert namespace.list("pvc") == []
    assert [job["metadata"]["name"] for job in namespace.list("job")] == trials.names()


async def test_a_search_at_rest_is_left_as_it_is(namespace: Any, start: Start, trials: Trials) -> None:
    await start()
    await trials.reconcile()

    def versions() -> dict[str, str]:
        return {job["metadata"]["name"]: job["metadata"]["resourceVersion"] for job in namespace.list("tj")}

    before = versions()
    await trials.reconcile()
    assert versions() == before


class Killed(Exception):
    """What ends the operator."""


class Mortal:
    """A cluster whose operator dies at its nth change, before or after it is made."""

    def __init__(self, cluster: Cluster, dies_at: int, *, after: bool) -> None:
        self._cluster = cluster
        self._left = dies_at
        self._after = after

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._cluster, name)
        return self._counted(method) if name in ("create", "apply", "delete", "write_status") else method

    def _counted(self, method: Any) -> Any:
        async def call(*args: Any, **options: Any) -> Any:
            self._left -= 1
            if self._left == 0 and not self._after:
                raise Killed
            result = await method(*args, **options)
            if self._left == 0:
                raise Killed
            return result

        return call


async def test_an_operator_that_dies_at_any_change_makes_the_same_trials_once(
    world: World, namespace: Any, training_job: Any, trials: Trials
) -> None:
    """Every third life ends some changes after the last one, on either side of the change."""
    namespace.create("tj", training_job(search=SEARCH | {"maxTrials": 4}))
    made: dict[str, tuple[str, int]] = {}

    async def lives(number: int) -> None:
        for dies_at in range(1, number + 1):
            for after in (False, True):
                trials.world = World(
                    cluster=Mortal(world.cluster, dies_at, after=after),  # type: ignore[arg-type]
                    config=world.config,
                )
                with contextlib.suppress(Killed):
                    await trials.reconcile()
                for trial in trials.there():
                    seen = (trial["metadata"]["uid"], width(trial))
                    assert made.setdefault(trial["metadata"]["name"], seen) == seen
                assert sum("completionTime" not in t.get("status", {}) for t in trials.there()) <= 2
        trials.world = world
        await trials.reconcile()

    await lives(12)
    for number in range(1, 5):
        await trials.end(f"digits-trial-{number:03}", accuracy=number / 10)
        await lives(3)
    search = await trials.reconcile()
    assert (search["status"]["state"], counts(search)) == ("Complete", {"total": 4, "succeeded": 4})
    assert search["status"]["search"]["bestTrial"]["name"] == "digits-trial-004"
    widths = {t["name"]: t["hyperparameters"]["width"] for t in search["status"]["search"]["trials"]}
    assert widths == {name: width for name, (_, width) in made.items()}


async def test_a_trial_below_the_median_is_stopped_for_good(
    namespace: Any, start: Start, trials: Trials
) -> None:
    await start(search={"maxTrials": 7, "parallelTrials": 1})

    def trains(name: str, accuracy: float) -> None:
        now = {"epoch": 1, "metrics": [{"name": "accuracy", "value": str(accuracy)}]}
        running = {"type": "Running", "status": "True", "reason": "Training", "message": "m"}
        status = {"conditions": [running | {"lastTransitionTime": NOW}], "trainerStatus": now}
        namespace.set_status("tj", name, status)

    for number in range(1, 6):
        name = f"digits-trial-{number:03}"
        trains(name, 0.5)
        await trials.look("digits")
        await trials.end(name, accuracy=0.9)
        await trials.reconcile()
    name = "digits-trial-006"
    trains(name, 0.2)
    search = await trials.look("digits")
    assert counts(search)["pruned"] == 1
    assert "digits-trial-007" not in trials.names(), "it holds its place until its pods are gone"
    search = await trials.reconcile()
    trial = namespace.get("tj", name)
    assert (trial["status"]["state"], condition(trial, "Failed")["reason"]) == ("Failed", "Pruned")
    assert "worse than the median" in trial["status"]["failure"]["message"]
    assert trials.pods(name) == []
    assert "digits-trial-007" in trials.names()
    namespace.patch("tj", name, {"spec": {"suspend": True}})
    await trials.reconcile()
    await trials.end("digits-trial-007", accuracy=0.8)
    search = await trials.reconcile()
    assert (search["status"]["state"], counts(search)["pruned"]) == ("Complete", 1)


async def test_suspending_a_search_suspends_its_trials(
    namespace: Any, start: Start, trials: Trials, until: Any
) -> None:
    await start()
    await until(lambda: len(namespace.list("pod")) == 2)
    namespace.patch("tj", "digits", {"spec": {"suspend": True}})
    search = await trials.look("digits")
    assert search["status"]["state"] == "Stopping"
    await trials.reconcile()
    await until(lambda: not namespace.list("pod"))
    search = await trials.reconcile()
    assert search["status"]["state"] == "Suspended"
    trial = namespace.get("tj", "digits-trial-001")
    assert "spec.suspend of the search digits is true" in condition(trial, "Suspended")["message"]
    namespace.patch("tj", "digits", {"spec": {"suspend": False}})
    await trials.reconcile()
    await until(lambda: len(namespace.list("pod")) == 2)
    search = await trials.reconcile()
    assert condition(search, "Suspended")["status"] == "False"
    assert len(trials.names()) == 2


async def test_at_the_deadline_the_best_so_far_is_taken(
    namespace: Any, start: Start, trials: Trials, until: Any
) -> None:
    await start(activeDeadlineSeconds=3600)
    await trials.end("digits-trial-001", accuracy=0.7)
    search = await trials.reconcile()
    past = search["status"] | {"startTime": NOW}
    namespace.set_status("tj", "digits", past)
    await trials.reconcile()
    await until(lambda: not trials.pods("digits-trial-002"))
    search = await trials.reconcile()
    assert search["status"]["state"] == "Complete"
    assert "activeDeadlineSeconds, 3600 s, are over" in condition(search, "Complete")["message"]
    assert counts(search) == {"total": 3, "succeeded": 1, "failed": 2}
    trial = namespace.get("tj", "digits-trial-002")
    assert condition(trial, "Failed")["reason"] == "DeadlineExceeded"


async def test_a_search_fails_where_every_trial_does_and_tells_why(start: Start, trials: Trials) -> None:
    await start(search={"maxTrials": 2})
    await trials.end("digits-trial-001", code=1)
    await trials.end("digits-trial-002", loss=0.1)
    search = await trials.reconcile()
    assert (search["status"]["state"], search["status"]["failure"]["reason"]) == ("Failed", "TrialsFailed")
    told = condition(search, "Failed")["message"]
    assert "digits-trial-001: trainer ended with exit code 1, its last lines:\nboom" in told
    assert "it has no finite accuracy, by which trials are compared; it reports loss" in told


async def test_a_trial_that_somebody_deletes_has_failed_and_is_not_made_again(
    namespace: Any, start: Start, trials: Trials, until: Any
) -> None:
    await start()
    namespace.delete("tj", "digits-trial-001")
    await until(lambda: len(trials.names()) == 1)
    search = await trials.reconcile()
    assert trials.names() == ["digits-trial-002", "digits-trial-003"]
    assert search["status"]["search"]["trials"][0]["message"].startswith("its TrainingJob was deleted")


async def test_a_finished_trial_may_be_deleted(
    namespace: Any, start: Start, trials: Trials, until: Any
) -> None:
    await start()
    await trials.end("digits-trial-001", accuracy=0.7)
    await trials.reconcile()
    namespace.delete("tj", "digits-trial-001")
    await until(lambda: "digits-trial-001" not in trials.names())
    await trials.end("digits-trial-002", accuracy=0.6)
    await trials.end("digits-trial-003", accuracy=0.5)
    search = await trials.reconcile()
    assert search["status"]["model"]["uri"] == "pvc://digits-trial-001-model/digits-trial-001"


async def test_a_name_that_is_taken_is_told(
    namespace: Any, training_job: Any, start: Start, trials: Trials
) -> None:
    namespace.create("tj", training_job("digits-trial-001"))
    search = await start()
    assert search["status"]["state"] == "NameTaken"
    assert (
        "TrainingJob digits-trial-001 that is not of this TrainingJob"
        in condition(search, "Running")["message"]
    )
    namespace.delete("tj", "digits-trial-001")
    await trials.reconcile()
    assert trials.names() == ["digits-trial-001", "digits-trial-002"]


async def test_trials_go_with_their_search(namespace: Any, start: Start, until: Any) -> None:
    await start()
    namespace.delete("tj", "digits", propagationPolicy="Background")
    await until(lambda: not namespace.list("tj") and not namespace.list("pod"))


async def test_a_wrong_parameter_is_told_and_healed_by_an_edit(
    namespace: Any, start: Start, trials: Trials
) -> None:
    search = await start(search={"parameters": [{"name": "with", "min": 8, "max": 64}]})
    assert search["status"]["state"] == "InvalidSpec"
    assert "did you mean width?" in condition(search, "Running")["message"]
    namespace.patch("tj", "digits", {"spec": {"search": SEARCH}})
    await trials.reconcile()
    assert len(trials.names()) == 2
    more = {"maxTrials": 9, "parallelTrials": 3}
    namespace.patch("tj", "digits", {"spec": {"search": more}})
    await trials.reconcile()
    assert len(trials.names()) == 3
    with pytest.raises(Exception, match=r"spec.search cannot be changed after the job has started, but for"):
        namespace.patch("tj", "digits", {"spec": {"search": {"seed": 1}}})


async def test_a_search_takes_the_place_of_a_job_that_has_not_begun(
    namespace: Any, training_job: Any, trials: Trials, until: Any
) -> None:
    namespace.create("tj", training_job())
    await trials.look("digits")
    namespace.patch("tj", "digits", {"spec": {"search": SEARCH}})
    assert (await trials.look("digits"))["status"]["state"] == "CleaningUp"
    await until(lambda: not namespace.list("job"))
    await trials.reconcile()
    assert [job["metadata"]["name"] for job in namespace.list("job")] == trials.names()


async def test_the_example_makes_trials(namespace: Any, trials: Trials) -> None:
    given = yaml.safe_load(EXAMPLE.read_text())
    given["metadata"]["name"] = "digits"
    namespace.create("tj", given)
    await trials.reconcile()
    tried = [trial["spec"]["model"]["hyperparameters"] for trial in trials.there()]
    assert [given.keys() for given in tried] == [{"epochs", "learningRate", "width", "augment"}] * 2


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"parameters": []}, r"search.parameters: .*should have at least 1 items"),
        ({"parameters": None}, r"search.parameters: Required value"),
        ({"parameters": SEARCH["parameters"] * 2}, r"search.parameters\[1\]: Duplicate value"),
        ({"parameters": [{"name": "width", "min": 8}]}, r"min and max go together"),
        ({"parameters": [{"name": "width", "min": 9, "max": 8}]}, r"min must be less than max"),
        ({"parameters": [{"name": "w", "min": 0, "max": 1, "log": True}]}, r"log needs a min above 0"),
        (
            {"parameters": [{"name": "w", "min": 1, "max": 9, "log": True, "step": 1}]},
            r"log and step exclude each other",
        ),
        (
            {"parameters": [{"name": "w", "choices": [1], "step": 1}]},
            r"log and step go with min and max",
        ),
        ({"parameters": [{"name": "w", "choices": []}]}, r"choices: .*should have at least 1 items"),
        ({"maxTrials": 0}, r"maxTrials: .*greater than or equal to 1"),
        ({"maxTrials": 201}, r"maxTrials: .*less than or equal to 200"),
        ({"parallelTrials": 0}, r"parallelTrials: .*greater than or equal to 1"),
        ({"sampler": "grid"}, r'supported values: "random", "tpe"'),
        ({"pruner": "hyperband"}, r'supported values: "median", "none"'),
        ({"objective": {"goal": "more"}}, r'supported values: "maximize", "minimize"'),
        ({"trials": 9}, r'unknown field "spec.search.trials"'),
    ],
)
def test_a_wrong_search_is_refused(namespace: Any, training_job: Any, change: JSON, told: str) -> None:
    with pytest.raises(Exception, match=told):
        namespace.create("tj", training_job(search=SEARCH | change))


def test_a_search_leaves_room_for_the_names_of_its_trials(namespace: Any, training_job: Any) -> None:
    namespace.create("tj", training_job("x" * 42, search=SEARCH))
    with pytest.raises(Exception, match=r"at most 42 characters where spec.search is given"):
        namespace.create("tj", training_job("x" * 43, search=SEARCH))

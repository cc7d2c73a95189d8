"""How many pods a predictor has by what its routers count."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaka.api.inferenceservice import PredictorSpec
from vaka_operator.scaling import History, Load, replicas

COUNTED = {"minReplicas": 1, "maxReplicas": 10, "scaleMetric": "concurrency", "scaleTarget": 4}


def load(in_flight: int = 0, *, rate: int = 0, idle_s: int = 0) -> Load:
    return Load(in_flight=in_flight, rate=rate, idle_s=idle_s)


def run(spec: PredictorSpec, seen: list[tuple[float, Load | None]], live: int | None = 1) -> list[int]:
    """The numbers of pods that follow each other, each what the Deployment has when it is asked again."""
    history, found = History(), []
    for now, one in seen:
        live = replicas(spec, live, one, history, now)
        found.append(live)
    return found


loads = st.builds(
    Load, in_flight=st.integers(0, 10**4), rate=st.integers(0, 10**5), idle_s=st.integers(0, 10**4)
)
specs = st.fixed_dictionaries(
    {
        "minReplicas": st.integers(0, 5),
        "maxReplicas": st.integers(5, 20),
        "scaleMetric": st.sampled_from(["cpu", "concurrency", "rps"]),
        "scaleTarget": st.integers(1, 100),
        "scaleDownDelay": st.integers(1, 300),
    }
)


@given(st.data())
def test_the_bounds_of_the_spec_always_hold(data: st.DataObject) -> None:
    given_spec = data.draw(specs)
    spec = spec_of(**given_spec)
    steps = data.draw(st.lists(st.tuples(st.floats(0.1, 100), st.none() | loads), max_size=30))
    times = [sum(s for s, _ in steps[: i + 1]) for i in range(len(steps))]
    found = run(spec, [(t, one) for t, (_, one) in zip(times, steps, strict=True)], live=None)
    assert all(n == 0 or max(spec.min_replicas, 1) <= n <= spec.most_replicas for n in found)
    assert 0 not in found or spec.min_replicas == 0


@given(st.integers(1, 20), specs)
def test_without_an_answer_of_the_routers_nothing_changes(live: int, given_spec: dict[str, Any]) -> None:
    spec = spec_of(**given_spec | {"maxReplicas": 20})
    assert (
        run(spec, [(0, None), (1000, None)], live=max(live, spec.min_replicas))
        == [max(live, spec.min_replicas)] * 2
    )


def spec_of(**fields: Any) -> PredictorSpec:
    return msgspec.convert({"model": {"storageUri": "pvc://m"}} | fields, PredictorSpec)


def test_pods_are_as_many_as_their_target_asks_for() -> None:
    assert run(spec_of(**COUNTED), [(0, load(20))]) == [5]
    assert run(spec_of(**COUNTED), [(0, load(10_000))]) == [10]
    by_rate = COUNTED | {"scaleMetric": "rps", "scaleTarget": 50}
    assert run(spec_of(**by_rate), [(0, load(rate=120))]) == [3]


def test_near_its_target_a_service_stays_as_it_is() -> None:
    assert run(spec_of(**COUNTED), [(0, load(22))], live=5) == [5]
    assert run(spec_of(**COUNTED), [(0, load(23))], live=5) == [6]


def test_one_sample_among_many_says_little() -> None:
    quiet = [(float(t), load(4)) for t in range(0, 6, 2)]
    assert run(spec_of(**COUNTED), [*quiet, (6.0, load(8))])[-1] == 2
    assert run(spec_of(**COUNTED), [(0.0, load(8))])[-1] == 2


def test_pods_go_when_there_was_less_to_do_for_long_enough() -> None:
    spec = spec_of(**COUNTED | {"scaleDownDelay": 60})
    seen = [(0.0, load(40)), *((float(t), load(4)) for t in range(2, 90, 2))]
    found = run(spec, seen)
    down = next(t for (t, _), n in zip(seen, found, strict=True) if n < 10)
    assert 60 < down <= 70
    assert found[-1] == 1


def test_after_the_operator_started_pods_are_kept_for_a_while() -> None:
    spec = spec_of(**COUNTED | {"scaleDownDelay": 60})
    found = run(spec, [(0.0, load(4)), (30.0, load(4)), (61.0, load(4))], live=8)
    assert found == [8, 8, 1]


@pytest.mark.parametrize("metric", ["cpu", "concurrency"])
def test_an_idle_service_sleeps_and_wakes_for_one_request(metric: str) -> None:
    fields = {"minReplicas": 0, "scaleMetric": metric, "scaleDownDelay": 30}
    spec = spec_of(**fields | ({"maxReplicas": 3} if metric == "concurrency" else {}))
    idle = [(0.0, load(idle_s=29)), (1.0, load(1, idle_s=30)), (2.0, load(idle_s=31)), (3.0, load(idle_s=32))]
    assert run(spec, idle) == [1, 1, 0, 0]
    assert run(spec, [(0.0, None), (1.0, load(1))], live=0) == [0, 1]


def test_a_new_service_has_a_pod_so_that_its_model_is_tried() -> None:
    assert run(spec_of(minReplicas=0), [(0.0, None)], live=None) == [1]

"""What the API server's answers mean."""

from typing import Any

import pytest

from vaka_operator.cluster import Conflict, Ending, Refused
from vaka_operator.handlers.world import World, now
from vaka_operator.manifests.meta import Owner, owner_of
from vaka_operator.manifests.networkpolicy import network_policy
from vaka_operator.status.conditions import Finding
from vaka_operator.status.events import Reason, event

pytestmark = pytest.mark.api


@pytest.fixture
def owner(namespace: Any) -> Owner:
    return Owner(kind="TrainingJob", namespace=namespace.name, name="digits", uid="1")


async def test_what_is_absent_is_none(world: World, namespace: Any) -> None:
    assert await world.cluster.get("Job", namespace.name, "nothing") is None
    assert await world.cluster.select("Pod", namespace.name, labels={"a": "b"}) == []


async def test_a_status_made_from_something_old_is_a_conflict(
    world: World, namespace: Any, training_job: Any
) -> None:
    read = namespace.create("tj", training_job())
    namespace.patch("tj", "digits", {"metadata": {"labels": {"somebody": "else"}}})
    with pytest.raises(Conflict):
        await world.cluster.write_status(read, {"state": "Running"})
    namespace.delete("tj", "digits")
    with pytest.raises(Conflict):
        await world.cluster.write_status(read, {"state": "Running"})


async def test_what_is_wrong_in_itself_is_told_from_what_is_forbidden_here(
    world: World, namespace: Any, owner: Owner, until: Any
) -> None:
    with pytest.raises(Refused, match="must be between 1 and 65535") as refused:
        await world.cluster.apply(network_policy(owner, name="policy", ports=[70_000]))
    assert refused.value.invalid
    hard = {"count/networkpolicies.networking.k8s.io": "0"}
    namespace.create("quota", {"metadata": {"name": "none"}, "spec": {"hard": hard}})
    await until(lambda: namespace.get("quota", "none").get("status", {}).get("hard"))
    with pytest.raises(Refused, match="exceeded quota") as refused:
        await world.cluster.apply(network_policy(owner, name="policy", ports=[80]))
    assert not refused.value.invalid


async def test_nothing_can_be_made_in_a_namespace_that_ends(
    world: World, api: Any, namespace: Any, owner: Owner
) -> None:
    kept = {"metadata": {"name": "kept", "finalizers": ["test.vaka.dev/hold"]}, "spec": {"hard": {}}}
    namespace.create("quota", kept)
    api("DELETE", f"/api/v1/namespaces/{namespace.name}")
    with pytest.raises(Ending):
        await world.cluster.apply(network_policy(owner, name="policy", ports=[80]))
    namespace.patch("quota", "kept", {"metadata": {"finalizers": None}})


async def test_an_event_told_again_is_there_once(world: World, namespace: Any, training_job: Any) -> None:
    job = namespace.create("tj", training_job())
    told = event(job, Finding(Reason.TRAINING, "m"), instance="i", now=now())
    await world.cluster.record(told)
    await world.cluster.record(told)
    assert [e["note"] for e in namespace.list("event")] == ["m"]


async def test_only_the_object_that_was_read_is_deleted(
    world: World, namespace: Any, training_job: Any
) -> None:
    read = namespace.create("tj", training_job())
    namespace.delete("tj", "digits")
    namespace.create("tj", training_job())
    with pytest.raises(Conflict):
        await world.cluster.delete(read)
    assert owner_of(namespace.get("tj", "digits")).uid != owner_of(read).uid

"""Everything the operator reacts to: `kopf run -m vaka_operator.main` loads this module.

kopf only watches, and wakes the queue: no handler stores anything in people's objects.
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

import kopf
import prometheus_client

from vaka.api.contract import LABEL_JOB, LABEL_SEARCH, LABEL_SERVICE
from vaka.api.types import GROUP
from vaka_operator import config
from vaka_operator.cluster import Cluster, Conflict, Ending
from vaka_operator.doorbell import Doorbell
from vaka_operator.handlers import inferenceservices, trainingjobs
from vaka_operator.handlers.models import references
from vaka_operator.handlers.world import LATER_S, Outcome, World
from vaka_operator.manifests.meta import MANAGED_BY, MANAGER
from vaka_operator.metrics import Metrics
from vaka_operator.queue import Key, Queue, Work

RECONCILES: dict[str, Callable[[World, str, str], Awaitable[Outcome]]] = {
    "TrainingJob": trainingjobs.reconcile,
    "InferenceService": inferenceservices.reconcile,
}
CHILDREN = ("jobs", "deployments", "pods", "persistentvolumeclaims")


@kopf.on.startup()
async def start(settings: kopf.OperatorSettings, memo: kopf.Memo, **_: Any) -> None:
    for chatty in ("kopf.objects", "aiohttp.access"):  # a line for each event of each pod, and each probe
        logging.getLogger(chatty).setLevel(logging.WARNING)
    settings.posting.enabled = False
    settings.peering.standalone = True
    for plural in CHILDREN:
        settings.watching.label_selectors[plural] = f"{MANAGED_BY}={MANAGER}"
    configuration = config.from_environment(os.environ)
    memo.stack = contextlib.AsyncExitStack()
    cluster = await memo.stack.enter_async_context(await Cluster.connect())
    metrics = Metrics()
    doorbell = Doorbell(lambda key: memo.queue.wake(key))
    memo.stack.callback(doorbell.close)
    world = World(cluster=cluster, config=configuration, doorbell=doorbell)
    memo.queue = Queue(reconciler(world, metrics))
    metrics.watch(depth=lambda: len(memo.queue))
    server, _thread = prometheus_client.start_http_server(
        configuration.metrics_port, registry=metrics.registry
    )
    memo.stack.callback(server.shutdown)
    memo.work = asyncio.create_task(memo.queue.run())


@kopf.on.cleanup()
async def stop(memo: kopf.Memo, **_: Any) -> None:
    memo.work.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await memo.work
    await memo.stack.aclose()


@kopf.on.login()
def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
    return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)


@kopf.index(GROUP, "inferenceservices")
def followers(
    namespace: str | None, name: str, spec: kopf.Spec, **_: Any
) -> dict[tuple[str | None, str], str]:
    """The services that wait for a TrainingJob, or follow it, by its namespace and name."""
    names = {ref["name"] for ref in references(spec) if "name" in ref}
    return {(namespace, job): name for job in names}


@kopf.index(GROUP, "inferenceservices")
def choosers(
    namespace: str | None, name: str, spec: kopf.Spec, **_: Any
) -> dict[str | None, tuple[str, list[dict[str, str]]]] | None:
    """The services that choose TrainingJobs by labels, with the labels, by namespace."""
    labels = [dict(ref["selector"]["matchLabels"]) for ref in references(spec) if "selector" in ref]
    return {namespace: (name, labels)} if labels else None


@kopf.index(GROUP, "trainingjobs", labels={LABEL_SEARCH: kopf.PRESENT})
def trials(
    namespace: str | None, name: str, labels: kopf.Labels, **_: Any
) -> dict[tuple[str | None, str], str]:
    """The trials of a search, by the namespace and name of the TrainingJob that searches."""
    return {(namespace, labels[LABEL_SEARCH]): name}


@kopf.on.event(GROUP, "trainingjobs")
async def training_job_changed(
    namespace: str | None, name: str, meta: kopf.Meta, status: kopf.Status, memo: kopf.Memo, **kwargs: Any
) -> None:
    if tells_something_new(memo, meta, kwargs["type"]):
        for job in (name, *kwargs["trials"].get((namespace, name), ())):
            wake(memo, "TrainingJob", namespace, job)
    if search := meta.labels.get(LABEL_SEARCH):
        wake(memo, "TrainingJob", namespace, search)
    before, memo.result = memo.get("result"), Result.of(meta, status, gone=kwargs["type"] == "DELETED")
    if memo.result != before:
        by_name = kwargs["followers"].get((namespace, name), ())
        chosen = (memo.result.labels, before.labels if before else {})
        choosing = kwargs["choosers"].get(namespace, ())
        by_labels = [service for service, wanted in choosing if any_is_met(wanted, chosen)]
        for service in (*by_name, *by_labels):
            wake(memo, "InferenceService", namespace, service)


@kopf.on.event(GROUP, "inferenceservices")
async def inference_service_changed(
    namespace: str | None, name: str, meta: kopf.Meta, memo: kopf.Memo, **kwargs: Any
) -> None:
    if tells_something_new(memo, meta, kwargs["type"]):
        wake(memo, "InferenceService", namespace, name)


@kopf.on.event("jobs", labels={LABEL_JOB: kopf.PRESENT})
@kopf.on.event("pods", labels={LABEL_JOB: kopf.PRESENT})
@kopf.on.event("persistentvolumeclaims", labels={LABEL_JOB: kopf.PRESENT})
async def training_child_changed(
    namespace: str | None, labels: kopf.Labels, memo: kopf.Memo, **_: Any
) -> None:
    wake(memo, "TrainingJob", namespace, labels[LABEL_JOB])


@kopf.on.event("deployments", labels={LABEL_SERVICE: kopf.PRESENT})
@kopf.on.event("pods", labels={LABEL_SERVICE: kopf.PRESENT})
@kopf.on.event("persistentvolumeclaims", labels={LABEL_SERVICE: kopf.PRESENT})
async def serving_child_changed(
    namespace: str | None, labels: kopf.Labels, memo: kopf.Memo, **_: Any
) -> None:
    wake(memo, "InferenceService", namespace, labels[LABEL_SERVICE])


class Result(NamedTuple):
    """What of a TrainingJob concerns the services that serve its model."""

    uid: str
    labels: dict[str, str]
    state: str | None
    digest: str | None
    gone: bool

    @classmethod
    def of(cls, meta: kopf.Meta, status: kopf.Status, *, gone: bool) -> "Result":
        digest = (status.get("model") or {}).get("digest")
        return cls(meta["uid"], dict(meta.labels), status.get("state"), digest, gone)


def any_is_met(wanted: Sequence[dict[str, str]], given: Sequence[dict[str, str]]) -> bool:
    """Whether some labels that are given have all of some that are wanted."""
    return any(one.items() <= labels.items() for one in wanted for labels in given)


def tells_something_new(memo: kopf.Memo, meta: kopf.Meta, kind: str) -> bool:
    """Whether an event tells of more than the status that the reconcile itself has written."""
    before = memo.get("seen")
    memo.seen = (meta["uid"], meta["generation"], meta.get("deletionTimestamp"), kind == "DELETED")
    return bool(memo.seen != before)


def wake(memo: kopf.Memo, kind: str, namespace: str | None, name: str) -> None:
    """Have an object reconciled. Both kinds are namespaced, which kopf's types cannot know."""
    memo.queue.wake(Key(kind, str(namespace), name))


def reconciler(world: World, metrics: Metrics) -> Work:
    """The work of the queue: reconcile, counted and timed; a conflict only means to look again."""

    async def work(key: Key) -> float | None:
        result = "error"
        try:
            with metrics.timed(key.kind):
                outcome = await RECONCILES[key.kind](world, key.namespace, key.name)
            result = "ok"
        except Conflict:
            result = "conflict"
            return 0.0
        except Ending:
            result = "ending"
            return LATER_S
        finally:
            metrics.count(key.kind, result)
        metrics.state(key, outcome.state)
        return outcome.again_s

    return work

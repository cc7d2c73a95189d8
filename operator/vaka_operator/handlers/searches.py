"""The reconcile of TrainingJobs that search: what follows from their trials, and the trials themselves.

What is decided of trials that are there is noted in the status first, and they obey it themselves (see
trials.py); what is made gets a name that only it can have. So this may be broken off at any point.
"""

import asyncio
import dataclasses

import msgspec

from vaka.api.contract import LABEL_SEARCH
from vaka.api.reasons import Reason
from vaka.api.search import SearchSpec, TrialStatus, trial_name
from vaka.api.trainingjob import TrainingJob
from vaka.api.trainingjobstatus import TrainingJobStatus
from vaka.search.space import Space, metric_of, space_of
from vaka.search.study import UNDER_WAY, State, next_trials, to_prune
from vaka_operator.handlers import children
from vaka_operator.handlers.children import Obstacle
from vaka_operator.handlers.world import LATER_S, SOON_S, Outcome, World, now, publish
from vaka_operator.manifests.claim import usual_name
from vaka_operator.manifests.job import training
from vaka_operator.manifests.meta import JSON, Owner, owner_of
from vaka_operator.manifests.trial import trial_job
from vaka_operator.status.conditions import Finding
from vaka_operator.status.searches import Seen, status_of
from vaka_operator.status.trials import marked, noted


async def reconcile(world: World, resource: JSON, job: TrainingJob, search: SearchSpec) -> Outcome:
    """Make the trials that are to be made, and the status what all of them are."""
    owner = owner_of(resource)
    seen = await _look(world, owner, resource, job, search)
    try:
        seen = await _act(world, owner, seen)
    except Obstacle as obstacle:
        seen = dataclasses.replace(seen, refusal=obstacle.finding)
    status, _ = status_of(seen)
    await publish(world, resource, status, before=seen.previous.conditions)
    return Outcome(status.state, _again(seen, status))


def _again(seen: Seen, status: TrainingJobStatus) -> float | None:
    """Trials wake their search when they change; only time itself does not."""
    begins = seen.previous.start_time is None and status.start_time is not None
    if status.completion_time or begins:
        return 0.0
    if seen.spec.suspend:
        return None
    return SOON_S if seen.refusal else min(LATER_S, max(seen.seconds_left or LATER_S, 0.1))


async def _look(world: World, owner: Owner, resource: JSON, job: TrainingJob, search: SearchSpec) -> Seen:
    jobs = {
        trial["metadata"]["name"]: msgspec.convert(trial, TrainingJob)
        for trial in await world.cluster.select(
            "TrainingJob", owner.namespace, labels={LABEL_SEARCH: owner.name}
        )
        if children.is_owned(trial, owner.uid)
    }
    previous = job.status or TrainingJobStatus()
    try:
        metric = metric_of(job.spec.model, search)
    except ValueError:  # which _act tells
        metric = ""
    before = previous.search.trials if previous.search else []
    return Seen(
        name=owner.name,
        spec=job.spec,
        search=search,
        metric=metric,
        previous=previous,
        generation=resource["metadata"]["generation"],
        now=now(),
        trials=noted(before, jobs, names=[p.name for p in search.parameters], metric=metric),
        jobs=jobs,
    )


async def _act(world: World, owner: Owner, seen: Seen) -> Seen:
    """Stop what need not go on, and make the next trials."""
    space = await _checked(world, owner, seen)
    if seen.spec.suspend or seen.previous.start_time is None:
        return seen
    if seen.late:
        limit = seen.spec.active_deadline_seconds
        told = f"the search did not end within its spec.activeDeadlineSeconds, {limit} s"
        late = [trial.name for trial in seen.trials if trial.state in UNDER_WAY]
        return _marked(seen, late, State.FAILED, Finding(Reason.DEADLINE_EXCEEDED, told))
    # Optuna is slow to import, and computes: other objects do not wait for it.
    losers = await asyncio.to_thread(to_prune, seen.search, space, seen.reckoned)
    told = f"{seen.metric} is worse than the median of the finished trials at the same epoch"
    names = [trial_name(owner.name, trial.number) for trial in losers]
    seen = _marked(seen, names, State.PRUNED, Finding(Reason.PRUNED, told))
    return await _make(world, owner, seen, space)


def _marked(seen: Seen, names: list[str], state: State, finding: Finding) -> Seen:
    def mark(trial: TrialStatus) -> TrialStatus:
        return marked(trial, state, finding) if trial.name in names else trial

    return dataclasses.replace(seen, trials=[mark(trial) for trial in seen.trials])


async def _checked(world: World, owner: Owner, seen: Seen) -> Space:
    """The space of the search; Obstacle where the spec is wrong, or was one without spec.search before."""
    try:
        space = space_of(seen.spec.model, seen.search)
        training(owner, seen.spec, world.config, claim_name=usual_name(owner))
    except ValueError as error:
        raise Obstacle(Finding(Reason.INVALID_SPEC, str(error))) from error
    if seen.previous.start_time is None:
        former = await children.own(world.cluster, owner, kind="Job", name=owner.name)
        if former:
            await world.cluster.delete(former)
            raise Obstacle(Finding(Reason.CLEANING_UP, "spec has changed: trials take the place of the Job"))
    return space


async def _make(world: World, owner: Owner, seen: Seen, space: Space) -> Seen:
    """Make the next trials; who finds them made goes on from there."""
    new = await asyncio.to_thread(next_trials, seen.search, space, seen.reckoned)
    jobs = dict(seen.jobs)
    try:
        for trial in new:
            made = await children.make(world.cluster, owner, trial_job(owner, seen.spec, trial))
            jobs[made["metadata"]["name"]] = msgspec.convert(made, TrainingJob)
        refusal = None
    except Obstacle as obstacle:
        refusal = obstacle.finding
    trials = noted(seen.trials, jobs, names=list(space), metric=seen.metric)
    return dataclasses.replace(seen, jobs=jobs, trials=trials, refusal=refusal)

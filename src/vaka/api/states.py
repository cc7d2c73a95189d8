"""The table of conditions and reasons: `python -m vaka.api.states FILE` writes it as Markdown."""

import sys
from pathlib import Path

from vaka.api.reasons import Reason

TRAINING = {
    "Created": "The Job that trains is made; false while it cannot be.",
    "Queued": "The job waits for its Kueue queue; there only with spec.queueName.",
    "Running": "Enough pods train; while false, its reason says what is missing.",
    "Restarting": "An attempt ended early and another follows.",
    "Suspended": "spec.suspend is true and no pod is left.",
    "Complete": "Training has ended well. Final.",
    "Failed": "Training has ended and will not be tried again. Final.",
}
SERVING = {
    "Ready": "Predictions are answered; while false, its reason says what is missing.",
    "PredictorReady": "Pods of spec.predictor answer; its reasons are those of Ready.",
    "CanaryPredictorReady": "Pods of spec.canary answer; its reasons are those of Ready.",
    "IngressReady": "The Service leads to those pods, by the router where one is needed; likewise.",
}

HEAD = """\
# States

Made from `src/vaka/api/reasons.py` by `make states`; do not edit.

`kubectl get` shows in its State column the condition that holds or, while none does, the reason of
`Running` or `Ready`. `Created` and `Running` (`Ready` for services) always tell the present; the others
appear when they hold for the first time and stay, true or false. `Complete` and `Failed` are final:
nothing that happens to the children afterwards changes them. Each change of a reason is an event too.
"""


def markdown() -> str:
    """The page."""
    return "\n".join(
        [HEAD, *_kind("TrainingJob", TRAINING), *_kind("InferenceService", SERVING)],
    )


def _kind(name: str, conditions: dict[str, str]) -> list[str]:
    lines = [f"## {name}", "", "| Condition | Says |", "|---|---|"]
    lines += [f"| `{condition}` | {says} |" for condition, says in conditions.items()]
    lines += ["", "| Condition | Reason | Means | What to do |", "|---|---|---|---|"]
    for condition in conditions:
        for reason in Reason:
            if condition in reason.conditions:
                lines.append(f"| `{condition}` | `{reason}` | {reason.meaning} | {reason.advice} |")
    return [*lines, ""]


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(markdown())

"""What `make demo` does once all is built: a cluster, the chart, a training, a service, a prediction."""

import argparse
import json
import random
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from vaka.data import packaged
from vaka.data.load import load
from vaka.devcluster.errors import ClusterError
from vaka.devcluster.handle import Cluster

ROOT = Path(__file__).parents[1]
IMAGES = ("operator", "trainer", "server", "router", "datasets")
NAMESPACE = {
    "apiVersion": "v1",
    "kind": "Namespace",
    "metadata": {"name": "demo", "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
}
SENT = 100
SHADES = " ░▒▓█"


def main() -> int:
    """Run all steps; each can be repeated, so that an interrupted demo goes on where it was."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", default="vaka", help="name of the cluster")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

    step("Cluster")
    cluster = Cluster.up(arguments.name)
    step("Images into the cluster")
    for image in IMAGES:
        cluster.load(image)
    step("helm install vaka charts/vaka")
    install(cluster)
    step("kubectl apply -f examples/mnist-cnn.yaml")
    cluster.apply(json.dumps(NAMESPACE))
    cluster.kubectl("apply", "-n", "demo", "-f", str(ROOT / "examples/mnist-cnn.yaml"))
    follow(cluster, "trainingjob", until="Complete")
    step("kubectl apply -f examples/mnist-cnn-service.yaml")
    cluster.kubectl("apply", "-n", "demo", "-f", str(ROOT / "examples/mnist-cnn-service.yaml"))
    follow(cluster, "inferenceservice", until="Ready")
    print(cluster.kubectl("get", "-n", "demo", "tj,isvc"))
    step("A prediction")
    right = predict(cluster)
    print(
        NEXT.format(environment=cluster.environment_hint(), down=f"make cluster-down NAME={arguments.name}")
    )
    return 0 if right else 1


def install(cluster: Cluster) -> None:
    """Install the chart, or upgrade it; an operator whose image has changed under its tag starts anew."""
    cluster.helm(
        *("upgrade", "--install", "vaka", str(ROOT / "charts/vaka")),
        *("--namespace", "vaka-system", "--create-namespace", "--wait", "--timeout", "120s"),
        *("--set-string", f"operator.podAnnotations.image={cluster.digest('operator')}"),
    )


def step(title: str) -> None:
    print(f"\n==> {title}", flush=True)


def follow(cluster: Cluster, kind: str, *, until: str) -> None:
    """Print each new state of mnist-cnn, and every tenth of its progress, until it is there."""
    shown: tuple[str, ...] = ()
    while True:
        found = json.loads(cluster.kubectl("get", "-n", "demo", kind, "mnist-cnn", "-o", "json"))
        status: dict[str, Any] = found.get("status", {})
        state = status.get("state", "")
        progress, waits = status.get("progress", ""), waiting_for(status)
        if shown != (news := (state, progress[:-2], waits)):
            print(
                "    " + "  ".join(filter(None, (state, progress, status.get("metric"), waits))), flush=True
            )
            shown = news
        if state == until:
            return
        if state == "Failed":
            raise SystemExit(f"vaka: {status['failure']['reason']}: {status['failure']['message']}")
        time.sleep(1)


def waiting_for(status: dict[str, Any]) -> str:
    """What the object waits for, where it says so."""
    negative = (c["message"] for c in status.get("conditions", []) if c["type"] in ("Running", "Ready"))
    return "" if status.get("progress") else next(negative, "")


def predict(cluster: Cluster) -> bool:
    """Send a hundred digits that the model was not trained on to the service, and draw one with its answer.

    True unless the model is a bad one: one digit in a hundred may deceive a good model, too.
    """
    digits = load(packaged.ensure("mnist"), validation_fraction=0.1, seed=0, scratch=ROOT).validation
    chosen = random.sample(range(len(digits)), SENT)
    with forwarded(cluster) as url:
        body = json.dumps({"instances": digits.pixels[chosen, 0].tolist()}).encode()
        request = urllib.request.Request(f"{url}/v1/models/mnist-cnn:predict", body)
        with urllib.request.urlopen(request, timeout=10) as response:
            answers = json.load(response)["predictions"]
    truths = [str(digits.labels[index]) for index in chosen]
    right = [n for n in range(SENT) if answers[n]["label"] == truths[n]]
    shown = right[0] if right else 0
    verdict = "right" if right else f"wrong: it is a {truths[shown]}"
    print(picture(digits.pixels[chosen[shown], 0]))
    print(f"    prediction: {answers[shown]['label']} ({answers[shown]['probability']:.1%}), {verdict}")
    print(f"    {len(right)} of {SENT} digits that it had never seen were told right")
    return len(right) >= 0.9 * SENT


@contextmanager
def forwarded(cluster: Cluster) -> Any:
    """URL on this machine's loopback at which the service answers meanwhile."""
    command = ["kubectl", "port-forward", "-n", "demo", "service/mnist-cnn", ":80", "--address", "127.0.0.1"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=cluster.environment())
    try:
        assert process.stdout is not None
        first = process.stdout.readline()  # Forwarding from 127.0.0.1:PORT -> 8080
        if not first:
            raise SystemExit(
                "vaka: kubectl port-forward ended without forwarding: is the service still ready?"
            )
        yield "http://" + first.split(" from ")[1].split(" ")[0]
    finally:
        process.terminate()
        process.wait()


def picture(digit: np.ndarray) -> str:
    """A grey picture (28x28, 0..255) as text, two characters a pixel."""
    rows = (digit.astype(int) * (len(SHADES) - 1) + 127) // 255
    return "\n".join("    " + "".join(SHADES[v] * 2 for v in row) for row in rows[3:-3, 3:-3])


NEXT = """
    Next, in this terminal:
{environment}
      kubectl get tj,isvc -n demo
      kubectl describe tj mnist-cnn -n demo
      kubectl port-forward -n demo service/mnist-cnn 8080:80 &
      curl localhost:8080/v2/models/mnist-cnn                 # what it takes and gives
      curl localhost:8080/v1/models/mnist-cnn:predict -d @examples/digit.json
      curl localhost:8080/metrics
    When done: {down}"""


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (ClusterError, subprocess.CalledProcessError) as error:
        sys.exit(f"vaka: {error}")

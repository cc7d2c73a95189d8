"""What the operator is told by its environment, read once and checked."""

from collections.abc import Mapping
from dataclasses import dataclass

PULL_POLICIES = ("Always", "IfNotPresent", "Never")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of the operator. Images are those of the pods that it makes."""

    trainer_image: str
    server_image: str
    datasets_image: str
    router_image: str
    router_key: str
    """What the tokens for the routers' state are made from."""
    image_pull_policy: str = "IfNotPresent"
    metrics_port: int = 8080
    instance: str = "vaka-operator"
    """Name of this pod, as events give it."""
    namespace: str = ""
    """Where the operator runs, if it knows."""

    def __post_init__(self) -> None:
        if self.image_pull_policy not in PULL_POLICIES:
            known = ", ".join(PULL_POLICIES)
            raise ValueError(f"VAKA_IMAGE_PULL_POLICY is {self.image_pull_policy!r}: give one of {known}")
        if not 0 <= self.metrics_port <= 65535:
            raise ValueError(f"VAKA_METRICS_PORT is {self.metrics_port}: give a port from 0 to 65535")


def from_environment(env: Mapping[str, str]) -> Config:
    """The settings that the environment gives.

    Raises:
        ValueError: a variable is missing or wrong; the message names it.
    """
    return Config(
        trainer_image=_required(env, "VAKA_TRAINER_IMAGE"),
        server_image=_required(env, "VAKA_SERVER_IMAGE"),
        datasets_image=_required(env, "VAKA_DATASETS_IMAGE"),
        router_image=_required(env, "VAKA_ROUTER_IMAGE"),
        router_key=_required(env, "VAKA_ROUTER_KEY", "it is a secret of the operator's own, any long word"),
        image_pull_policy=env.get("VAKA_IMAGE_PULL_POLICY", Config.image_pull_policy),
        metrics_port=_port(env.get("VAKA_METRICS_PORT", str(Config.metrics_port))),
        instance=env.get("HOSTNAME", Config.instance),
        namespace=env.get("VAKA_NAMESPACE", Config.namespace),
    )


IMAGE = "it names an image, such as registry.example/vaka/trainer:1.0"


def _required(env: Mapping[str, str], name: str, meaning: str = IMAGE) -> str:
    if not env.get(name):
        raise ValueError(f"{name} is not set: {meaning}")
    return env[name]


def _port(text: str) -> int:
    if not text.isdecimal():
        raise ValueError(f"VAKA_METRICS_PORT is {text!r}: give a port from 0 to 65535")
    return int(text)

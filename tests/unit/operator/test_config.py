import pytest

from vaka_operator.config import from_environment

IMAGES = {
    "VAKA_TRAINER_IMAGE": "t",
    "VAKA_SERVER_IMAGE": "s",
    "VAKA_DATASETS_IMAGE": "d",
    "VAKA_ROUTER_IMAGE": "r",
    "VAKA_ROUTER_KEY": "k",
}


def test_images_and_the_routers_key_are_enough() -> None:
    config = from_environment(IMAGES)
    assert (config.trainer_image, config.server_image, config.datasets_image) == ("t", "s", "d")


@pytest.mark.parametrize("name", IMAGES)
def test_a_missing_one_is_named(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is not set"):
        from_environment(IMAGES | {name: ""})


@pytest.mark.parametrize(
    ("variable", "value", "allowed"),
    [
        ("VAKA_IMAGE_PULL_POLICY", "Sometimes", "Always, IfNotPresent, Never"),
        ("VAKA_METRICS_PORT", "http", "0 to 65535"),
        ("VAKA_METRICS_PORT", "65536", "0 to 65535"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(variable: str, value: str, allowed: str) -> None:
    with pytest.raises(ValueError, match=f"{variable} is .*{value}.*{allowed}"):
        from_environment(IMAGES | {variable: value})

"""What ends a training run for good, apart from broken data."""


class ConfigError(Exception):
    """The specification is wrong: trying again cannot help."""


class NonFiniteLoss(Exception):
    """The loss became infinite or no number: the message names step and batch."""

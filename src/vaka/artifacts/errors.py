"""What can be wrong with a model; each message says what was expected, what was found and what to do."""


class BadInput(ValueError):
    """What was given is not what the model takes; the message is for whoever gave it."""


class ModelError(Exception):
    """Something about a model folder or ONNX file."""


class ModelNotFound(ModelError):
    """There is no model at this path."""


class ModelInvalid(ModelError):
    """The model is there but broken, incomplete or of a kind that cannot be served."""


class DigestMismatch(ModelError):
    """The model is not the one whose digest was asked for, or a file of it was changed."""

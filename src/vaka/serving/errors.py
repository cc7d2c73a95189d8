"""What a request can come to other than its answer: each kind has its HTTP status."""


class ServingError(Exception):
    """Base of all; the message is for whoever sent the request."""

    status = 500


class BadRequest(ServingError):
    """The body, or a tensor in it, is not what the model takes."""

    status = 400


class UnknownModel(ServingError):
    """No model of this name or version is served here."""

    status = 404


class TooLarge(ServingError):
    """The body is larger than the server accepts."""

    status = 413


class UnsupportedEncoding(ServingError):
    """The body is encoded in a way that the server does not read."""

    status = 415


class NotReady(ServingError):
    """The model is not loaded; the message says why."""

    status = 503

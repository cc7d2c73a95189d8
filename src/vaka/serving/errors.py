"""What a request can come to other than its answer: each kind has its HTTP status."""

from collections.abc import Sequence

from vaka.artifacts.errors import BadInput


class ServingError(Exception):
    """Base of all; the message is for whoever sent the request."""

    status = 500

    @property
    def headers(self) -> dict[str, str]:
        """Headers that go with the status."""
        return {}


class BadRequest(ServingError, BadInput):
    """The body, or a tensor in it, is not what the model takes."""

    status = 400


def refusal_of(error: ServingError | BadInput) -> ServingError:
    """The same as an error that has a status."""
    return error if isinstance(error, ServingError) else BadRequest(str(error))


class UnknownModel(ServingError):
    """No model of this name or version is served here."""

    status = 404


class UnknownPath(ServingError):
    """There is nothing at this path."""

    status = 404


class WrongMethod(ServingError):
    """The path takes other methods."""

    status = 405

    def __init__(self, message: str, *, allow: Sequence[str]) -> None:
        super().__init__(message)
        self._allow = ", ".join(allow)

    @property
    def headers(self) -> dict[str, str]:
        return {"allow": self._allow}


class UpgradeRequired(ServingError):
    """The path speaks WebSocket."""

    status = 426

    @property
    def headers(self) -> dict[str, str]:
        return {"upgrade": "websocket", "connection": "upgrade"}


class TooLarge(ServingError):
    """The body is larger than the server accepts."""

    status = 413


class UnsupportedEncoding(ServingError):
    """The body is encoded in a way that the server does not read."""

    status = 415


class Unavailable(ServingError):
    """Not now: the same request may be answered after `retry_after` seconds."""

    status = 503

    def __init__(self, message: str, *, retry_after: int = 1) -> None:
        super().__init__(message)
        self._retry_after = retry_after

    @property
    def headers(self) -> dict[str, str]:
        return {"retry-after": str(self._retry_after)}


class NotReady(Unavailable):
    """The model is not loaded; the message says why."""


class Overloaded(Unavailable):
    """More is asked than can be answered in time: refused at once, so that the rest is answered."""


class DeadlineExceeded(ServingError):
    """The answer would come too late to be of use."""

    status = 504

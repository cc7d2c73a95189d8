"""What can go wrong with storage, in words that say where and what to do."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from obstore.exceptions import BaseError


class StorageError(Exception):
    """Something about a storage URI; the message says which, where and what to do."""


class NotFound(StorageError):
    """Nothing is stored there."""


class Unreachable(StorageError):
    """The endpoint does not answer."""


class Denied(StorageError):
    """The endpoint refuses these credentials, or there are none."""


@contextmanager
def explained(where: str, access: str) -> Iterator[None]:
    """Turn what the client raises into a StorageError; `access` is what to do where it is denied."""
    try:
        yield
    except (BaseError, FileNotFoundError) as error:
        raise _told(where, access, str(error)) from None  # the client's text may show the access key


def _told(where: str, access: str, text: str) -> StorageError:
    match = re.search(r"status code: (\d+ [\w ]+)", text)
    status = match[1] if match else ""
    code = re.search(r"<Code>(\w+)</Code>", text)
    detail = f"{status} {code[1]}" if code else status
    if status.startswith("404"):
        return NotFound(f"{where}: there is nothing ({detail}): check the URI")
    if status.startswith(("401", "403")):
        return Denied(f"{where}: access is denied ({detail}): {access}")
    if "/latest/api/token" in text:  # the client's last resort: a cloud machine's own identity
        return Denied(f"{where}: there are no credentials: {access}")
    if status:
        return Unreachable(f"{where} answers {detail}")
    for pattern, meaning in _CAUSES.items():
        if re.search(pattern, text):
            return Unreachable(f"{where} {meaning}")
    return Unreachable(f"{where} fails: {first_line(text)}")


_CAUSES = {
    r"dns error": "cannot be reached: its name does not resolve: check AWS_ENDPOINT_URL or the host",
    r"ConnectionRefused": "cannot be reached: connection refused: check address and port, and that it runs",
    r"[Cc]ertificate": "cannot be trusted: its certificate is not valid here",
    r"TimedOut|kind: Timeout": "cannot be reached: it does not answer in time",
    r"MissingContentLength": "does not say how long the file is (Content-Length)",
    r"IncompleteBody|kind: Interrupted": "broke off during the transfer",
}


def first_line(text: str) -> str:
    return re.sub(r"\?\S*", "", text.partition("\n")[0])

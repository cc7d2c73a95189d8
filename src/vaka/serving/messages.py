"""HTTP requests and answers, and who makes the one of the other."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote

import httptools

if TYPE_CHECKING:
    from vaka.serving.http import HttpServer


class Request:
    """A whole request; names of headers are in lower case."""

    __slots__ = ("body", "headers", "keep_alive", "method", "target")

    def __init__(self) -> None:
        self.method = ""
        self.target = b""
        self.headers: dict[bytes, bytes] = {}
        self.body = b""
        self.keep_alive = True

    @property
    def path(self) -> str:
        """The path, decoded."""
        target = (
            self.target if self.target.startswith(b"/") else httptools.parse_url(self.target).path or b"/"
        )
        return unquote(target.partition(b"?")[0].decode("latin-1"))

    def header(self, name: bytes) -> str:
        """The value of a header, empty where it is not given."""
        return self.headers.get(name, b"").decode("latin-1")


@dataclass(slots=True)
class Response:
    """What is answered; Content-Length, Date and Connection are added."""

    body: bytes = b""
    status: int = 200
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    switch: "Callable[[HttpServer], asyncio.Protocol] | None" = None
    """Instead of an answer: what speaks on this connection from now on, by another protocol."""


App = Callable[[Request], Awaitable[Response]]
Refuse = Callable[[int, str], Response]

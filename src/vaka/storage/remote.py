"""What an s3:// or https:// URI points to: its objects, listed, read and written."""

import os
from contextlib import AbstractContextManager, suppress
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from obstore.exceptions import BaseError
from obstore.store import HTTPStore, ObjectStore, S3Store

from vaka.storage.errors import NotFound, StorageError, explained, first_line

if TYPE_CHECKING:  # obstore has these as type stubs only
    from obstore import GetOptions, GetResult, ObjectMeta
    from obstore.store import ClientConfig, RetryConfig

LOOPBACK = ("localhost", "127.0.0.1", "::1")
RETRY: "RetryConfig" = {
    "max_retries": 2,
    "retry_timeout": timedelta(seconds=6),
    "backoff": {
        "init_backoff": timedelta(milliseconds=200),
        "max_backoff": timedelta(seconds=1),
        "base": 2,
    },
}
READ_SILENCE = timedelta(seconds=3)
"""How long a server may be silent while we read: tried three times, this stays under ten seconds."""
WRITE_SILENCE = timedelta(seconds=20)
"""A server may need longer before it confirms a write."""


class Version(NamedTuple):
    """What tells one content of an object from another."""

    size: int
    etag: str | None
    """None where the server gives none that stands for the very bytes (RFC 9110, 8.8.1)."""

    @classmethod
    def of(cls, meta: "ObjectMeta") -> "Version":
        etag = meta["e_tag"]
        return cls(meta["size"], None if not etag or etag.startswith("W/") else etag)

    def may_be(self, other: "Version") -> bool:
        """Whether nothing tells them apart; some servers give an etag in listings only, or without quotes."""
        one, another = (self.etag or "").strip('"'), (other.etag or "").strip('"')
        return self.size == other.size and (one == another or not (one and another))


class Remote(NamedTuple):
    """A store and the key in it that a URI names; `uri` and `endpoint` speak of it without secrets."""

    store: ObjectStore
    key: str
    uri: str
    endpoint: str
    access: str

    def objects(self) -> dict[str, Version]:
        """The version of each object by its path below the key; the path of a single object is empty."""
        with self.explained():
            found = {o["path"]: Version.of(o) for chunk in self.store.list(self.key) for o in chunk}
            if not found and self.key:
                return {"": Version.of(self.store.head(self.key))}
        start = len(self.key) + 1 if self.key else 0
        # Some tools store an empty object for each folder.
        folders = {str(parent) for path in found for parent in PurePosixPath(path).parents}
        objects = {path[start:]: o for path, o in found.items() if o.size or path not in folders}
        if not objects:
            raise NotFound(f"{self.uri}: the bucket is empty (endpoint {self.endpoint})")
        if any(".." in PurePosixPath(path).parts for path in objects):
            raise StorageError(f"{self.uri}: an object name there leads outside of the folder")
        return objects

    def get(self, path: str, *, start: int = 0, etag: str | None = None) -> "GetResult":
        """The object at `path` below the key from byte `start` on; PreconditionError for another etag."""
        options: GetOptions = {"if_match": etag} if etag else {}
        if start:
            options["range"] = {"offset": start}
        return self.store.get(f"{self.key}/{path}".strip("/"), options=options)

    def write(self, content: bytes, path: str) -> None:
        """The bytes to the object at `path` below the key."""
        with self.explained():
            self.store.put(f"{self.key}/{path}".strip("/"), content)

    def upload(self, source: Path, path: str) -> None:
        """The file to the object at `path` below the key."""
        with self.explained():
            self.store.put(f"{self.key}/{path}".strip("/"), source)

    def delete(self, paths: list[str]) -> None:
        """Delete the objects at these paths below the key, one after the other."""
        with self.explained():
            for path in paths:
                with suppress(FileNotFoundError):
                    self.store.delete(f"{self.key}/{path}".strip("/"))

    def explained(self) -> AbstractContextManager[None]:
        """Errors of the client as StorageErrors."""
        return explained(f"{self.uri} (endpoint {self.endpoint})", self.access)


def s3(uri: str, *, silence: timedelta) -> Remote:
    """s3://BUCKET/KEY with the access that the environment gives."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not bucket or ".." in key.split("/"):
        raise StorageError(f"{uri}: give s3://BUCKET/PREFIX")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    endpoint = os.environ.get("AWS_ENDPOINT_URL") or f"https://s3.{region}.amazonaws.com"
    options = _client(silence, plain=endpoint.startswith("http://"))
    try:
        store = S3Store(bucket, region=region, client_options=options, retry_config=RETRY)
    except (BaseError, ValueError) as error:
        raise StorageError(f"{uri}: {first_line(str(error))}: check the AWS_ variables") from None
    access = (
        "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION (in a cluster: keys of the Secret "
        "that secretRef names), and that they may list, read and write there"
    )
    return Remote(store, key.strip("/"), uri, endpoint, access)


def web(uri: str) -> Remote:
    """https://HOST/PATH of one file, http:// on this machine."""
    parts = urlsplit(uri)
    place = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    shown = place + parts.path  # no password and no query, which may hold a signature
    plain = parts.scheme == "http"
    if plain and parts.hostname not in LOOPBACK:
        raise StorageError(f"{shown}: plain http:// is only for this machine: give https://")
    if not parts.hostname or parts.path.rpartition("/")[2] in ("", ".", ".."):
        raise StorageError(f"{shown}: give https://HOST/PATH of one file")
    store = HTTPStore.from_url(uri, client_options=_client(READ_SILENCE, plain=plain), retry_config=RETRY)
    return Remote(store, "", shown, place, "check that the address is public or holds its own signature")


def _client(silence: timedelta, *, plain: bool) -> "ClientConfig":
    return {
        "allow_http": plain,
        "connect_timeout": timedelta(seconds=2),
        "read_timeout": silence,
        "timeout": timedelta(days=1),  # of a whole transfer: silence is what ends it early
    }

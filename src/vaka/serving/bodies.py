"""Compressed bodies, RFC 9110 section 8.4: gzip and deflate, in and out, never larger than is allowed."""

import zlib

from vaka.serving.errors import BadRequest, TooLarge, UnsupportedEncoding

ENCODINGS = {"gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}
"""Window bits of each, for zlib."""
LEVEL = 1
"""The fastest: who waits for an answer wants it soon."""


def unpacked(body: bytes, encoding: str, *, limit: int) -> bytes:
    """The body without its content-encoding; TooLarge where that is more than `limit` bytes."""
    if encoding in ("", "identity"):
        return body
    if encoding not in ENCODINGS:
        known = ", ".join([*ENCODINGS, "identity"])
        raise UnsupportedEncoding(f"content-encoding {encoding} is not read: send {known}")
    stream = zlib.decompressobj(ENCODINGS[encoding])
    try:
        content = stream.decompress(body, limit + 1)
    except zlib.error as error:
        raise BadRequest(f"the body is no {encoding}: {error}") from None
    if len(content) > limit:
        raise TooLarge(f"the unpacked body is larger than the {limit} bytes that are accepted")
    if not stream.eof:
        raise BadRequest(f"the body is no whole {encoding}: its end is missing")
    return content


def packed(body: bytes, encoding: str) -> bytes:
    """The body in a content-encoding, one of ENCODINGS."""
    stream = zlib.compressobj(LEVEL, wbits=ENCODINGS[encoding])
    return stream.compress(body) + stream.flush()


def accepted(header: str) -> str | None:
    """The encoding of ENCODINGS that an Accept-Encoding header allows and likes best, if any."""
    liked: list[tuple[float, str]] = []
    for one in header.lower().split(","):
        name, _, weight = one.strip().partition(";q=")
        if name.strip() in ENCODINGS:
            liked.append((_number(weight), name.strip()))
    best = max(liked, key=lambda pair: pair[0], default=(0.0, ""))
    return best[1] if best[0] > 0 else None


def _number(text: str) -> float:
    try:
        return float(text) if text else 1.0
    except ValueError:
        return 0.0


def has_files(body: bytes) -> bool:
    """Whether values are in base64. A single letter is found, or not, in a tenth of the time."""
    return b"b" in body and b'"b64"' in body

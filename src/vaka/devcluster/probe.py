"""Asking a component whether it is healthy, with the administrator's certificate."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
from pathlib import Path
from urllib.parse import urlsplit

_TIMEOUT_S = 5.0


class Prober:
    def __init__(self, pki: Path):
        self._tls = ssl.create_default_context()
        self._tls.check_hostname = False  # on loopback, where some components' certificates are self-signed
        self._tls.verify_mode = ssl.CERT_NONE
        self._tls.load_cert_chain(pki / "admin.crt", pki / "admin.key")

    def healthy(self, target: str) -> bool:
        """Whether a URL answers 200, or a Unix socket (a path) accepts; blocks for 5 s at most."""
        try:
            return self._accepts(target) if target.startswith("/") else self._answers(target)
        except (OSError, http.client.HTTPException):
            return False

    def _accepts(self, path: str) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(_TIMEOUT_S)
            client.connect(path)
        return True

    def _answers(self, target: str) -> bool:
        url = urlsplit(target)
        connection = (
            http.client.HTTPSConnection(url.netloc, timeout=_TIMEOUT_S, context=self._tls)
            if url.scheme == "https"
            else http.client.HTTPConnection(url.netloc, timeout=_TIMEOUT_S)
        )
        with contextlib.closing(connection):
            connection.request("GET", url.path)
            return connection.getresponse().status == http.HTTPStatus.OK

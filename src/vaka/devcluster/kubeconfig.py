"""Kubeconfig files (``v1.Config`` of client-go), as JSON, which every YAML reader takes."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path


def kubeconfig(*, server: str, name: str, authority: bytes, certificate: bytes, key: bytes) -> str:
    """The file's text with all PEM data inside it, so that it can be moved."""
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": name, "cluster": {"server": server, "certificate-authority-data": _b64(authority)}}
            ],
            "users": [
                {
                    "name": name,
                    "user": {"client-certificate-data": _b64(certificate), "client-key-data": _b64(key)},
                }
            ],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "current-context": name,
        },
        indent=1,
    )


def write_kubeconfig(path: Path, *, server: str, name: str, pki: Path, user: str) -> None:
    """Write, for its owner's eyes only, a kubeconfig of ``user``'s certificate in ``pki``."""
    text = kubeconfig(
        server=server,
        name=name,
        authority=(pki / "ca.crt").read_bytes(),
        certificate=(pki / f"{user}.crt").read_bytes(),
        key=(pki / f"{user}.key").read_bytes(),
    )
    draft = path.with_name(path.name + ".new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    draft.rename(path)


def _b64(content: bytes) -> str:
    return base64.b64encode(content).decode()

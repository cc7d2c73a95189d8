"""The only module that talks to Kubernetes, and to the pods that report about themselves.

It alone knows what the status codes mean: an absent object is None, and the errors below are all that
callers have to tell apart.
"""

import asyncio
import json
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import aiohttp
import msgspec
from kubernetes.aio import client, config
from kubernetes.aio.utils import Backoff, is_too_many_requests, on_retry_after_error

from vaka.api.contract import Report
from vaka.api.types import API_VERSION
from vaka_operator.manifests.meta import JSON, MANAGER

REPORT_TIMEOUT = aiohttp.ClientTimeout(total=1)
REPORT_LIMIT = 64 * 1024
REQUEST_TIMEOUT_S = 30
ATTEMPTS = 5
RETRY = Backoff(steps=ATTEMPTS, duration=1.0, factor=1.0)
"""How often a request is sent to an API server that is too busy, and after how long if it does not say."""
LONGEST_PAUSE_S = 5.0
WEBHOOK = "failed calling webhook"


class ClusterError(Exception):
    """The API server could not do it; trying again may help."""

    status: int | None = None
    headers: Mapping[str, str] = MappingProxyType({})
    """Of its answer, where there was one: by these the library sees what is to be tried again, and when."""


class Conflict(ClusterError):
    """The object has changed since it was read: look again."""


class Ending(ClusterError):
    """The namespace is being deleted: nothing new can be made in it."""


class Refused(ClusterError):
    """The API server will not have this object; the message is its own explanation."""

    def __init__(self, message: str, *, invalid: bool) -> None:
        super().__init__(message)
        self.invalid = invalid
        """The object itself is wrong, rather than forbidden here and now."""


class Resource(NamedTuple):
    api_version: str
    plural: str


RESOURCES = {
    "TrainingJob": Resource(API_VERSION, "trainingjobs"),
    "InferenceService": Resource(API_VERSION, "inferenceservices"),
    "Job": Resource("batch/v1", "jobs"),
    "Deployment": Resource("apps/v1", "deployments"),
    "Pod": Resource("v1", "pods"),
    "Service": Resource("v1", "services"),
    "PersistentVolumeClaim": Resource("v1", "persistentvolumeclaims"),
    "ConfigMap": Resource("v1", "configmaps"),
    "HorizontalPodAutoscaler": Resource("autoscaling/v2", "horizontalpodautoscalers"),
    "HTTPRoute": Resource("gateway.networking.k8s.io/v1", "httproutes"),
    "NetworkPolicy": Resource("networking.k8s.io/v1", "networkpolicies"),
    "PodDisruptionBudget": Resource("policy/v1", "poddisruptionbudgets"),
    "Event": Resource("events.k8s.io/v1", "events"),
}


class Cluster:
    """The cluster that a kubeconfig or, in a pod, the service account leads to.

    Use it as ``async with await Cluster.connect() as cluster``.
    """

    def __init__(self, api: client.ApiClient, http: aiohttp.ClientSession) -> None:
        self._api = api
        self._http = http

    @classmethod
    async def connect(cls, kubeconfig: Path | None = None) -> "Cluster":
        """The cluster of this kubeconfig; without one, the cluster of this pod, or $KUBECONFIG's."""
        settings = client.Configuration()
        if kubeconfig is None and "KUBERNETES_SERVICE_HOST" in os.environ:
            config.load_incluster_config(client_configuration=settings)  # type: ignore[no-untyped-call]
        else:
            file = str(kubeconfig) if kubeconfig else None
            await config.load_kube_config(file, client_configuration=settings)  # type: ignore[no-untyped-call]
        return cls(client.ApiClient(settings), aiohttp.ClientSession(timeout=REPORT_TIMEOUT))

    async def __aenter__(self) -> "Cluster":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._api.close()  # type: ignore[no-untyped-call]
        await self._http.close()

    async def get(self, kind: str, namespace: str, name: str) -> JSON | None:
        return await self._call("GET", _path(kind, namespace, name))

    async def select(
        self, kind: str, namespace: str, *, labels: dict[str, str] | None = None, fields: str = ""
    ) -> list[JSON]:
        """The objects of a namespace that have these labels and fields."""
        selector = ",".join(f"{name}={value}" for name, value in (labels or {}).items())
        query = {"labelSelector": selector} | ({"fieldSelector": fields} if fields else {})
        found = await self._call("GET", _path(kind, namespace), query=query)
        return found["items"] if found else []

    async def knows(self, kind: str) -> bool:
        """Whether the API server has objects of this kind."""
        resource = RESOURCES[kind]
        found = await self._call("GET", f"/apis/{resource.api_version}")
        return bool(found and any(r["name"] == resource.plural for r in found["resources"]))

    async def create(self, manifest: JSON) -> JSON:
        """Create the object; Conflict where there is one of its name, Refused where a field is unknown."""
        return await self._write(
            "POST",
            _path(manifest["kind"], manifest["metadata"]["namespace"]),
            query={"fieldManager": MANAGER, "fieldValidation": "Strict"},
            body=manifest,
        )

    async def apply(self, manifest: JSON) -> JSON:
        """Server-side apply: create the object, or make the fields that are ours what they should be."""
        meta = manifest["metadata"]
        return await self._write(
            "PATCH",
            _path(manifest["kind"], meta["namespace"], meta["name"]),
            query={"fieldManager": MANAGER, "force": "true"},
            body=manifest,
            content="application/apply-patch+yaml",
        )

    async def patch(self, live: JSON, change: JSON) -> JSON:
        """Merge `change` into the object, provided that nobody else has changed it since it was read."""
        meta = live["metadata"]
        guarded = change | {
            "metadata": change.get("metadata", {}) | {"resourceVersion": meta["resourceVersion"]}
        }
        return await self._write(
            "PATCH",
            _path(live["kind"], meta["namespace"], meta["name"]),
            query={"fieldManager": MANAGER},
            body=guarded,
            content="application/merge-patch+json",
        )

    async def delete(self, live: JSON, *, unchanged: bool = False) -> None:
        """Remove this very object with all that it owns, if it is still there.

        Args:
            unchanged: only as it was read; Conflict where it has changed since then.
        """
        meta = live["metadata"]
        version = {"resourceVersion": meta["resourceVersion"]} if unchanged else {}
        options = {"preconditions": {"uid": meta["uid"]} | version, "propagationPolicy": "Background"}
        await self._call("DELETE", _path(live["kind"], meta["namespace"], meta["name"]), body=options)

    async def write_status(self, resource: JSON, status: JSON) -> JSON:
        """The resource with this status; Conflict where it has changed since it was read."""
        meta = resource["metadata"]
        path = f"{_path(resource['kind'], meta['namespace'], meta['name'])}/status"
        return await self._write("PUT", path, body=resource | {"status": status})

    async def record(self, event: JSON) -> None:
        """Create an event, unless it is there already."""
        try:
            await self._call("POST", _path("Event", event["metadata"]["namespace"]), body=event)
        except Conflict:
            return

    async def report(self, pod: JSON, *, port: int) -> Report | None:
        """What a pod says of itself; None where it does not answer in time, or nonsense."""
        answer = await self.ask(pod, port=port, path="/report")
        try:
            return msgspec.json.decode(answer, type=Report) if answer is not None else None
        except msgspec.DecodeError:
            return None

    async def ask(
        self, pod: JSON, *, port: int, path: str, method: str = "GET", token: str = ""
    ) -> bytes | None:
        """What a pod answers; None where it does not in time, or refuses."""
        ip = pod.get("status", {}).get("podIP")
        if not ip:
            return None
        host = f"[{ip}]" if ":" in ip else ip
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = f"http://{host}:{port}{path}"
        try:
            async with self._http.request(method, url, headers=headers, allow_redirects=False) as answer:
                return await _at_most(answer.content, REPORT_LIMIT) if answer.status == 200 else None
        except (aiohttp.ClientError, TimeoutError):
            return None

    async def _write(self, method: str, path: str, **options: Any) -> JSON:
        result = await self._call(method, path, **options)
        if result is None:
            raise Conflict(f"{path} is gone, or its namespace is")
        return result

    async def _call(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, str] | None = None,
        body: JSON | None = None,
        content: str = "application/json",
    ) -> JSON | None:
        """Send a request; None for 404."""
        url = self._api.configuration.host + path + (f"?{urlencode(query)}" if query else "")
        headers = {"Accept": "application/json", "Content-Type": content}
        await self._api.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        send = partial(self._send, method, url, headers, body)
        return await on_retry_after_error(RETRY, is_too_many_requests, send, _pause)

    async def _send(self, method: str, url: str, headers: dict[str, str], body: JSON | None) -> JSON | None:
        """The answer to one request; None for 404."""
        try:
            response = await self._api.call_api(
                method, url, headers, body=body, _request_timeout=REQUEST_TIMEOUT_S
            )
            answer = await response.read()  # type: ignore[no-untyped-call]
        except (aiohttp.ClientError, TimeoutError) as error:
            what = url.removeprefix(self._api.configuration.host)
            raise ClusterError(f"{method} {what}: {error or 'no answer in time'}") from error
        if response.status == 404:
            return None
        if response.status >= 400:
            refusal = _error(response.status, answer)
            refusal.status, refusal.headers = response.status, response.headers
            raise refusal
        result: JSON = json.loads(answer)
        return result


async def _pause(seconds: float) -> None:
    await asyncio.sleep(min(seconds, LONGEST_PAUSE_S))


async def _at_most(content: aiohttp.StreamReader, limit: int) -> bytes:
    """The body, cut off behind the limit: no pod can fill the operator's memory."""
    body = b""
    async for chunk in content.iter_any():
        body += chunk
        if len(body) > limit:
            break
    return body[:limit]


def _path(kind: str, namespace: str, name: str = "") -> str:
    resource = RESOURCES[kind]
    root = "/api/" if "/" not in resource.api_version else "/apis/"
    path = f"{root}{resource.api_version}/namespaces/{quote(namespace)}/{resource.plural}"
    return f"{path}/{quote(name)}" if name else path


def _error(status: int, answer: bytes) -> ClusterError:
    try:
        told = json.loads(answer)
        message = str(told["message"])
        causes = [cause.get("reason") for cause in (told.get("details") or {}).get("causes", [])]
    except (ValueError, KeyError, TypeError):
        message, causes = answer.decode(errors="replace")[:1000], []
    if "NamespaceTerminating" in causes:
        return Ending(message)
    match status:
        case 409:
            return Conflict(message)
        case 400 | 422:
            return Refused(message, invalid=True)
        case 403:
            return Refused(message, invalid=False)
    if WEBHOOK in message:  # another's admission webhook that does not answer: said, and tried again
        return Refused(message, invalid=False)
    return ClusterError(f"{status}: {message}")

"""The configuration of a service's router (HAProxy 2.6): https://docs.haproxy.org/2.6/configuration.html

A request goes straight to a Service of the pods that it is for. Where no connection can be had, or a pod
dies before it answers, the request is sent again through a second proxy inside of HAProxy, `held`, which does
nothing but try to connect for as long as requests are held. So one request reaches at most RESENT + 1 pods,
however long it waits: a request that kills its pod does not go on to kill all others.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from vaka.api.contract import ADMIN_PORT, GRPC_PORT, HTTP_PORT
from vaka.api.router import HeaderMatch, RouterSpec
from vaka.api.types import amount
from vaka_operator.manifests import access

RESENT = 4
"""How often a request is sent again, at most."""
CONNECT_MS = 200
"""How long a connection may take, and how long to wait before the next try."""
CANARY_HOLD_S = 2
"""How long a request waits for a canary that has just gone, before the predictor gets it."""
SPARE_S = 5
"""The router waits this much longer than a server may take: the server's own answer says more."""
REUSES = {"http": 1000, "grpc": 0}
"""How often a connection is used again: each new one may lead to another pod, so new pods get their part.

HTTP/2 ones are not: where a server says goodbye (GOAWAY) while several requests share a connection, HAProxy
2.6 cuts answers off.
"""

TLS_FILE = "/etc/vaka/tls/tls.crt"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a router is to do. Addresses are those of Services, without port."""

    router: RouterSpec
    predictor: str
    canary: str | None = None
    headers: Sequence[HeaderMatch] = ()
    timeout_s: int = 60
    hold_s: int
    """How long a request waits for a pod that takes it."""
    token_digest: str
    """SHA-256, in hexadecimal, of the Authorization header that may read and set the state."""


def configuration(settings: Settings) -> str:
    """haproxy.cfg; the part of the canary is not in it, for that changes without a restart."""
    sections = [
        _global(settings),
        _defaults(settings),
        _frontend(settings),
        *_component("predictor", settings.predictor, settings),
        *(_component("canary", settings.canary, settings) if settings.canary else []),
        *([_rates()] if settings.router.rate_limit else []),
        _admin(settings),
    ]
    return "\n\n".join("\n    ".join(section) for section in sections) + "\n"


def initial_state(canary_percent: int) -> str:
    """What a router begins with until it is told otherwise."""
    return f"global\n    set-var proc.canary_percent int({canary_percent})\n"


def _global(settings: Settings) -> list[str]:
    shared_secret = access.is_shared(settings.router.auth.jwt) if settings.router.auth else False
    return [
        "global",
        "log stdout format raw daemon notice",
        "maxconn 4096",
        "nbthread 1",
        "hard-stop-after 60s",
        f"tune.bufsize {amount(settings.router.buffer_size)}",
        "stats socket /tmp/haproxy.sock mode 600 level admin expose-fd listeners",
        "ssl-load-extra-del-ext",
        "ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets",
        "set-var proc.last_request date()",
        *(f"set-var proc.{name} int(0)" for part in _counted(settings) for name in _counters(part)),
        *([f"set-var proc.jwt_secret env({access.JWT_ENV})"] if shared_secret else []),
    ]


def _defaults(settings: Settings) -> list[str]:
    return [
        "defaults",
        "mode http",
        "log global",
        "option dontlog-normal",
        f"timeout connect {CONNECT_MS}ms",
        "timeout client 75s",
        f"timeout server {settings.hold_s + settings.timeout_s + SPARE_S}s",
        "timeout http-request 30s",
        "timeout check 2s",
        "timeout http-keep-alive 75s",
        "http-reuse always",
        "option redispatch 1",
        "option abortonclose",
        "option idle-close-on-response",
        *_errors(),
    ]


def _errors() -> list[str]:
    told = {
        400: "the router cannot read this request",
        408: "the request did not come in time",
        500: "internal error of the router",
        502: "the pod that had this request ended before it answered",
        503: "no pod took this request in time",
        504: "the pod that has this request did not answer in time",
    }
    later = {503: " hdr retry-after 1"}
    return [
        f"http-error status {status} content-type application/json "
        f'string \'{{"error":"{message}"}}\'{later.get(status, "")}'
        for status, message in told.items()
    ]


def _frontend(settings: Settings) -> list[str]:
    secure = f" ssl crt {TLS_FILE} alpn h2,http/1.1" if settings.router.tls else ""
    return [
        "frontend public",
        *(f"bind :{port}{secure}" for port in (HTTP_PORT, GRPC_PORT)),
        "acl grpc hdr_beg(content-type) -i application/grpc",
        # Only what is here as a whole can be sent again, and refused so that the client reads why.
        # Reflection is a dialogue, which does not end first.
        "http-request wait-for-body time 30s unless { path_beg /grpc.reflection. }",
        *access.authentication(settings.router),
        *access.limits(settings.router),
        "http-request set-var(proc.last_request) date()",
        "http-request set-var(txn.start) date(0,ms)",
        *(_split(settings.headers) if settings.canary else []),
        "use_backend predictor-grpc if grpc",
        "default_backend predictor-http",
    ]


def _split(headers: Sequence[HeaderMatch]) -> list[str]:
    matches = [f"acl match{i} hdr({h.name}) -m str -- '{h.value}'" for i, h in enumerate(headers)]
    every = " ".join(f"match{i}" for i in range(len(headers)))
    return [
        "http-request set-var(txn.dice) rand(100),sub(proc.canary_percent)",
        "http-request set-var(txn.canary) bool(true) if { var(txn.dice) -m int lt 0 }",
        *matches,
        *([f"http-request set-var(txn.canary) bool(true) if {every}"] if headers else []),
        "acl canary var(txn.canary) -m bool",
        "use_backend canary-grpc if canary grpc",
        "use_backend canary-http if canary",
    ]


def _component(name: str, address: str, settings: Settings) -> list[list[str]]:
    return [
        section
        for protocol, port in (("http", HTTP_PORT), ("grpc", GRPC_PORT))
        for section in _upstream(name, protocol, _at(address, _SERVICE_PORTS[port]), settings)
    ]


_SERVICE_PORTS = {HTTP_PORT: 80, GRPC_PORT: GRPC_PORT}
"""What the Services of the pods call their ports."""


def _at(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _upstream(component: str, protocol: str, address: str, settings: Settings) -> list[list[str]]:
    """Straight to the pods, and the long way for requests that found none."""
    name, proto = f"{component}-{protocol}", " proto h2" if protocol == "grpc" else ""
    is_canary = component == "canary"
    hold_s = CANARY_HOLD_S if is_canary else settings.hold_s
    # Readiness is asked by HTTP/1.1, whatever the protocol of the requests.
    check = (
        f" check check-proto h1 addr {settings.canary} port 80 inter 250ms fall 1 rise 1" if is_canary else ""
    )
    track = f" track {name}/pods" if is_canary else ""
    straight = [
        f"backend {name}",
        f"retries {RESENT + is_canary}",
        "retry-on conn-failure empty-response",
        *(["option httpchk GET /v2/health/ready"] if is_canary else []),
        f"http-response set-header vaka-component {component} unless {{ srv_name fallback }}",
        *(_counting(component) if component in _counted(settings) else []),
        f"server pods {address}{proto} weight 256 max-reuse {REUSES[protocol]}{check}",
        f"server held abns@held-{name}{proto} weight 1{track}",
        *([f"server fallback abns@held-predictor-{protocol}{proto} backup"] if is_canary else []),
    ]
    entrance = [
        f"frontend held-{name}",
        f"bind abns@held-{name}{proto}",
        f"default_backend held-{name}",
    ]
    # An empty answer of 502 or 503 makes the first proxy send the request again.
    held = [
        f"backend held-{name}",
        f"retries {hold_s * 1000 // CONNECT_MS}",
        "retry-on conn-failure",
        "errorfile 502 /dev/null",
        *(["errorfile 503 /dev/null"] if is_canary else []),
        f"server pods {address}{proto} max-reuse {REUSES[protocol]}",
    ]
    return [straight, entrance, held]


def _counted(settings: Settings) -> list[str]:
    """The components that are compared: without a canary there is nothing to compare."""
    return ["predictor", "canary"] if settings.canary else []


def _counters(component: str) -> list[str]:
    return [f"{component}_{name}" for name in ("answers", "errors", "milliseconds")]


def _counting(component: str) -> list[str]:
    """Count answers and errors of a component, and the time until its headers came, for a canary's gates.

    Errors are those that the server is to blame for; gRPC tells of them in a header of its own.
    """
    answers, errors, milliseconds = (f"proc.{name}" for name in _counters(component))
    return [
        f"http-after-response set-var({answers}) var({answers}),add(1)",
        f"http-after-response set-var({milliseconds}) date(0,ms),sub(txn.start),add({milliseconds})",
        f"http-after-response set-var({errors}) var({errors}),add(1) if {{ status ge 500 }} "
        "|| { res.hdr(grpc-status) 2 4 13 14 15 } || { srv_name fallback }",
    ]


def _rates() -> list[str]:
    return ["backend rates", "stick-table type binary len 20 size 100k expire 10s store http_req_rate(1s)"]


def _admin(settings: Settings) -> list[str]:
    return [
        "frontend admin",
        f"bind :{ADMIN_PORT}",
        "http-request return status 200 content-type text/plain string ok if { path /healthz }",
        "http-request use-service prometheus-exporter if { path /metrics }",
        access.answer(
            401,
            "this is for the operator",
            f"unless {{ req.hdr(authorization),sha2(256),hex -m str -i {settings.token_digest} }}",
        ),
        "http-request set-var(proc.canary_percent) url_param(canary),add(0) if METH_PUT",
        "http-request return status 200 content-type application/json lf-string "
        f"'{{{_state(_counted(settings))}}}' if {{ path /state }}",
    ]


def _state(counted: Sequence[str]) -> str:
    """The state as JSON, without its outer braces; lists have the figures of HTTP and gRPC."""
    figures = {"inFlight": "be_conn(%s)", "waiting": "be_conn(held-%s)", "rate": "be_sess_rate(%s)"}

    def both(component: str, fetch: str) -> str:
        return ",".join(f"%[{fetch % f'{component}-{protocol}'}]" for protocol in ("http", "grpc"))

    parts = [
        '"canaryPercent":%[var(proc.canary_percent)]',
        '"idleSeconds":%[date(),sub(proc.last_request)]',
    ]
    for component in counted or ["predictor"]:
        told = [f'"{name}":[{both(component, fetch)}]' for name, fetch in figures.items()]
        if component == "canary":
            told.append(f'"up":[{both(component, "srv_is_up(%s/pods)")}]')
        names = _counters(component) if component in counted else []
        told += [f'"{name.split("_")[1]}":%[var(proc.{name})]' for name in names]
        parts.append(f'"{component}":{{{",".join(told)}}}')
    return ",".join(parts)

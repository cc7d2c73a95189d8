"""What stands in front of a service's pods: its router, and how traffic is shared out."""

from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from vaka.api.types import Quantity, Resource, Resources, Rule, SecretRef, said

HEADER_NAME = "^[A-Za-z0-9-]{1,64}$"
HEADER_VALUE = "^[A-Za-z0-9._~:/@=+ -]{1,128}$"
CLAIM = "^[A-Za-z0-9._~:/@=+-]{1,256}$"


class HeaderMatch(Resource, frozen=True):
    name: Annotated[str, Meta(pattern=HEADER_NAME, description="Name of a request header.")]
    value: Annotated[str, Meta(pattern=HEADER_VALUE, description="The value that it must have, exactly.")]


class CanaryGates(Resource, frozen=True):
    """When a canary gets more traffic, and when it loses what it has."""

    steps: Annotated[
        list[Annotated[int, Meta(ge=1, le=100)]],
        said(
            "The percentages that the canary goes through.",
            Rule("self.isSorted()", "must rise, such as [10, 50, 100]"),
            minItems=1,
            maxItems=20,
            **{"x-kubernetes-list-type": "set"},
        ),
    ] = msgspec.field(default_factory=lambda: [10, 25, 50, 100])
    interval: Annotated[int, Meta(ge=1, le=86400, description="Seconds at each step, at least.")] = 60
    min_requests: Annotated[
        int, Meta(ge=1, le=10**9, description="Requests that the canary must have answered at each step.")
    ] = 100
    max_error_rate: Annotated[
        float, Meta(ge=0, le=1, description="The part of its answers that may be errors (5xx).")
    ] = 0.01
    max_latency_ratio: Annotated[
        float, Meta(gt=0, le=1000, description="How its mean time may compare to that of the predictor.")
    ] = 1.5
    min_agreement: (
        Annotated[
            float,
            Meta(gt=0, le=1, description="The part of its shadowed answers that must be the predictor's."),
        ]
        | None
    ) = None


class ApiKeys(Resource, frozen=True):
    secret_ref: Annotated[
        SecretRef, said("Secret with the key `keys`: one API key a line, sent as Authorization: Bearer KEY.")
    ]


class Jwt(Resource, frozen=True):
    secret_ref: Annotated[
        SecretRef,
        said("Secret with the key `key`: the public key in PEM (RS, ES) or the shared secret (HS)."),
    ]
    algorithm: Annotated[
        Literal["RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "HS256", "HS384", "HS512"],
        said("How tokens must be signed."),
    ] = "RS256"
    issuer: (
        Annotated[str, Meta(pattern=CLAIM, description="The claim iss that a token must have.")] | None
    ) = None
    audience: (
        Annotated[str, Meta(pattern=CLAIM, description="The claim aud that a token must have.")] | None
    ) = None


class RouterAuth(Resource, frozen=True):
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("has(self.apiKeys) != has(self.jwt)", "give either apiKeys or jwt"),
    )
    api_keys: Annotated[ApiKeys, said("Requests must bring one of these keys.")] | None = None
    jwt: (
        Annotated[Jwt, said("Requests must bring a JSON Web Token that holds and has not expired.")] | None
    ) = None


class RouterTls(Resource, frozen=True):
    secret_ref: Annotated[SecretRef, said("Secret of type kubernetes.io/tls: tls.crt and tls.key.")]


class RateLimit(Resource, frozen=True):
    requests_per_second: Annotated[
        int, Meta(ge=1, le=10**6, description="What one client may send: one API key, else one address.")
    ]


class GatewayRef(Resource, frozen=True):
    name: Annotated[str, said("Name of a Gateway of the Gateway API.", minLength=1)]
    namespace: Annotated[str, said("Its namespace; default: that of the service.", minLength=1)] | None = None
    hostname: Annotated[str, said("The host name that leads to this service.", minLength=1)] | None = None


class RouterSpec(Resource, frozen=True):
    """HAProxy pods in front of the service's pods; made where this is given or something needs it."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.tls) || !has(self.gateway)",
            "give either tls or gateway: a Gateway has certificates of its own",
        ),
    )

    replicas: Annotated[int, Meta(ge=1, le=32, description="How many router pods there are.")] = 1
    tls: Annotated[RouterTls, said("Serve HTTPS, and nothing in plain text.")] | None = None
    auth: Annotated[RouterAuth, said("Who may send requests; default: all that reach the router.")] | None = (
        None
    )
    max_request_size: Annotated[Quantity, said("Larger bodies are refused with 413, such as 4Mi.")] | None = (
        None
    )
    rate_limit: Annotated[RateLimit, said("More requests than this are refused with 429.")] | None = None
    buffer_size: Annotated[
        Literal["16Ki", "32Ki", "64Ki", "128Ki", "256Ki", "512Ki", "1Mi"],
        said("Requests up to this size are sent to another pod when the one that has them dies."),
    ] = "64Ki"
    resources: Annotated[Resources, said("Resources of each router pod.")] | None = None
    gateway: Annotated[GatewayRef, said("A Gateway that leads to the service by an HTTPRoute.")] | None = None

"""Who may send what through a router: HAProxy's rules for authentication and limits."""

from vaka.api.router import Jwt, RouterSpec
from vaka.api.types import amount

KEYS_FILE = "/etc/vaka/api-keys/keys"
JWT_FILE = "/etc/vaka/jwt/key"
JWT_ENV = "VAKA_JWT_SECRET"


def authentication(router: RouterSpec) -> list[str]:
    if router.auth is None:
        return []
    if router.auth.jwt is None:
        unknown = f"unless {{ http_auth_bearer -m str -f {KEYS_FILE} }}"
        return [answer(401, "send an API key that is known: Authorization: Bearer KEY", unknown)]
    return _token(router.auth.jwt)


def _token(jwt: Jwt) -> list[str]:
    key = "proc.jwt_secret" if is_shared(jwt) else f'"{JWT_FILE}"'
    claims = {"iss": jwt.issuer, "aud": jwt.audience}
    holds = [
        f"{{ var(txn.token),jwt_header_query('$.alg') -m str -- {jwt.algorithm} }}",
        f'{{ var(txn.token),jwt_verify("{jwt.algorithm}",{key}) -m int 1 }}',
        *(
            f"{{ var(txn.token),jwt_payload_query('$.{name}') -m str -- '{value}' }}"
            for name, value in claims.items()
            if value
        ),
    ]
    return [
        "http-request set-var(txn.token) http_auth_bearer",
        "http-request set-var(txn.now) date()",
        "http-request set-var(txn.left) var(txn.token),jwt_payload_query('$.exp','int'),sub(txn.now)",
        "http-request set-var(txn.early) var(txn.token),jwt_payload_query('$.nbf','int'),sub(txn.now)",
        answer(401, "send a valid token: Authorization: Bearer TOKEN", f"unless {' '.join(holds)}"),
        answer(401, "the token has expired", "unless { var(txn.left) -m int gt 0 }"),
        answer(401, "the token is not valid yet", "if { var(txn.early) -m int gt 0 }"),
    ]


def is_shared(jwt: Jwt | None) -> bool:
    """Whether tokens are signed with a secret that the router knows, too."""
    return jwt is not None and jwt.algorithm.startswith("HS")


def limits(router: RouterSpec) -> list[str]:
    lines: list[str] = []
    if router.rate_limit:
        client = "http_auth_bearer,sha1" if router.auth else "src,sha1"
        most = router.rate_limit.requests_per_second
        lines += [
            f"http-request track-sc0 {client} table rates",
            answer(
                429,
                f"one client may send {most} requests a second",
                f"if {{ sc_http_req_rate(0) gt {most} }}",
            ),
        ]
    if router.max_request_size is not None:
        size = amount(router.max_request_size)
        lines += [
            answer(
                411,
                "say how large the body is: Content-Length",
                "if !grpc METH_POST { req.hdr_cnt(content-length) eq 0 }",
            ),
            answer(413, f"the body may have {size} bytes at most", f"if {{ req.body_size gt {size} }}"),
        ]
    return lines


def answer(status: int, message: str, condition: str) -> str:
    more = {401: " hdr www-authenticate Bearer", 429: " hdr retry-after 1"}.get(status, "")
    return (
        f"http-request return status {status} content-type application/json "
        f'string \'{{"error":"{message}"}}\'{more} {condition}'
    )

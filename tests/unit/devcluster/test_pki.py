import socket
import ssl
import stat
import threading
from pathlib import Path

import pytest

from vaka.devcluster.pki import Identity, write_pki

CLUSTER = {"server": Identity("server", hosts=("127.0.0.1", "localhost")), "admin": Identity("me", "masters")}


@pytest.fixture
def pki(tmp_path: Path) -> Path:
    write_pki(tmp_path / "pki", cluster=CLUSTER, front_proxy={"proxy": Identity("proxy")})
    return tmp_path / "pki"


def subject_seen_by_server(pki: Path, *, client: str, host: str) -> str:
    """The subject of ``client`` after a handshake in which both sides verify each other."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=pki / "ca.crt")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(pki / "server.crt", pki / "server.key")
    own = ssl.create_default_context(cafile=pki / "ca.crt")
    own.load_cert_chain(pki / f"{client}.crt", pki / f"{client}.key")
    seen: list[str] = []

    def serve(connection: socket.socket) -> None:
        try:
            with context.wrap_socket(connection, server_side=True) as secure:
                seen.append(str(secure.getpeercert()["subject"]))  # type: ignore[index]
                secure.sendall(b"!")
        except ssl.SSLError:
            connection.close()

    here, there = socket.socketpair()
    server = threading.Thread(target=serve, args=(there,))
    server.start()
    try:
        with own.wrap_socket(here, server_hostname=host) as secure:
            secure.recv(1)
    finally:
        here.close()
        server.join()
    return seen[0]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_server_and_client_accept_each_other(pki: Path, host: str) -> None:
    subject = subject_seen_by_server(pki, client="admin", host=host)
    assert "'me'" in subject
    assert "'masters'" in subject


def test_a_server_is_refused_under_another_name(pki: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        subject_seen_by_server(pki, client="admin", host="elsewhere")


def test_whom_the_front_proxy_authority_signed_is_no_client_of_the_cluster(pki: Path) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError, IndexError)):
        subject_seen_by_server(pki, client="proxy", host="localhost")


def test_only_the_owner_reads_it(pki: Path) -> None:
    assert stat.S_IMODE(pki.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in pki.iterdir()} == {0o600}


def test_what_is_there_stays(pki: Path) -> None:
    before = (pki / "ca.key").read_bytes()
    write_pki(pki, cluster=CLUSTER, front_proxy={})
    assert (pki / "ca.key").read_bytes() == before


def test_a_broken_draft_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "pki.new").mkdir()
    (tmp_path / "pki.new" / "ca.crt").touch()
    write_pki(tmp_path / "pki", cluster=CLUSTER, front_proxy={})
    assert (tmp_path / "pki" / "service-account.key").exists()
    assert not (tmp_path / "pki.new").exists()

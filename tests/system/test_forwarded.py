"""X-Forwarded-*: believed from proxies that the operator named, from nobody else."""

import http.client
import json
import signal
import socket
import time

import pytest

from pushca import Server

FIELDS = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "push.example.org:8443", "X-Forwarded-Prefix": "/pushca"}
BELIEVED = "https://push.example.org:8443/pushca/actuator/health"


def health_link(server, fields=None, port=None):
    address, number = port or server.rest
    connection = http.client.HTTPConnection(address, number, timeout=30)
    try:
        connection.request("GET", "/actuator", headers={"Host": "here", **(FIELDS if fields is None else fields)})
        return json.loads(connection.getresponse().read())["_links"]["health"]["href"]
    finally:
        connection.close()


@pytest.mark.parametrize("proxies", ["127.0.0.1", "127.0.0.0/8", "192.0.2.1, 127.0.0.1/32", "::ffff:127.0.0.1"])
def test_a_named_proxy_is_believed(proxies):
    with Server(f"pushca.pusher.trusted-proxies={proxies}") as server:
        assert health_link(server) == BELIEVED
        assert health_link(server, {}) == "http://here/actuator/health"
        moved = server.get("/swagger-ui.html", **FIELDS)
        assert (moved.status, moved.headers["location"]) == (302, "/pushca/swagger-ui/index.html")
        config = server.get("/pushca/swagger-config", **FIELDS).json
        assert config == {"configUrl": "/pushca/pushca/swagger-config", "url": "/pushca/pushca.yaml", "validatorUrl": ""}


@pytest.mark.parametrize("sets", [[], ["pushca.pusher.trusted-proxies=192.0.2.1,127.0.0.2,::1"]])
def test_anybody_else_is_not(sets):
    with Server(*sets) as server:
        assert health_link(server) == "http://here/actuator/health"
        assert server.get("/swagger-ui.html", **FIELDS).headers["location"] == "/swagger-ui/index.html"
        assert server.get("/pushca/swagger-config", **FIELDS).json["url"] == "/pushca.yaml"


@pytest.mark.parametrize("head, link", [
    (b"GET http://a.example:81/actuator HTTP/1.1\r\nHost: b.example", "http://a.example:81"),
    (b"GET HTTPS://[::1]/actuator HTTP/1.1\r\nHost: b.example", "http://[::1]"),  # the scheme is what was spoken
    (b"GET http://a.example/actuator HTTP/1.0", "http://a.example"),
    (b"GET /actuator HTTP/1.1\r\nHost: b.example:82", "http://b.example:82"),
    (b"GET /actuator HTTP/1.1\r\nHost:", ""),
    (b"GET /actuator HTTP/1.0", ""),
])
def test_an_absolute_target_counts_before_host(head, link):
    """RFC 9112, section 3.2.2."""
    with Server("pushca.pusher.trusted-proxies=127.0.0.1") as server:
        (answer,), _ = server.raw(head + b"\r\nConnection: close\r\n\r\n")
        assert answer.json["_links"]["health"]["href"] == f"{link}/actuator/health"
        (answer,), _ = server.raw(head + b"\r\nConnection: close\r\nX-Forwarded-Host: proxy.example\r\n\r\n")
        assert answer.json["_links"]["health"]["href"] == "http://proxy.example/actuator/health"


@pytest.mark.parametrize("name, value", [
    ("X-Forwarded-Proto", "javascript"), ("X-Forwarded-Proto", "https, http"), ("X-Forwarded-Host", "evil.example/x"),
    ("X-Forwarded-Host", "a, b"), ("X-Forwarded-Host", 'a"b'), ("X-Forwarded-Host", "a:99999"),
    ("X-Forwarded-Prefix", "//evil.example"), ("X-Forwarded-Prefix", "/../x"), ("X-Forwarded-Prefix", "/a b"),
])
def test_a_bad_value_of_a_named_proxy_is_passed_over(name, value):
    with Server("pushca.pusher.trusted-proxies=127.0.0.1") as server:
        assert health_link(server, {name: value}) == "http://here/actuator/health"
        assert server.get("/swagger-ui.html", **{name: value}).headers["location"] == "/swagger-ui/index.html"


def test_a_listener_of_both_kinds_knows_its_peers():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 here")
    with Server("server.address=::", "pushca.pusher.trusted-proxies=127.0.0.1") as server:
        assert health_link(server, port=("127.0.0.1", server.rest[1])) == BELIEVED
        assert health_link(server, port=("::1", server.rest[1])) == "http://here/actuator/health"
    with Server("server.address=::", "pushca.pusher.trusted-proxies=::1") as server:
        assert health_link(server, port=("127.0.0.1", server.rest[1])) == "http://here/actuator/health"
        assert health_link(server, port=("::1", server.rest[1])) == BELIEVED


def test_a_reload_changes_who_is_believed(tmp_path):
    path = tmp_path / "application.yaml"
    path.write_text("pushca.pusher.trusted-proxies: [192.0.2.1]\n")
    with Server(arguments=["--config", str(path)]) as server:
        assert health_link(server) == "http://here/actuator/health"
        path.write_text("pushca.pusher.trusted-proxies:\n  - 127.0.0.0/8\n  - ::1\n")
        server.process.send_signal(signal.SIGHUP)
        until = time.monotonic() + 30
        while health_link(server) != BELIEVED:
            assert time.monotonic() < until
            time.sleep(0.02)

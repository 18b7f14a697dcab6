"""Health, info, metrics: what an operator and his tools ask."""

import asyncio
import json
import re
import socket
import threading
import time

import pytest
import websockets

from pushca import ROOT, Server, identity, parse_answer

PLAIN = "/send-notification"
SECRET = "a secret of the tests, thirty-two bytes at least"


@pytest.fixture(scope="module", name="server")
def make_server():
    with Server(f"pushca.coordinator.secret-key={SECRET}") as server:
        yield server


def test_health_is_up_with_its_components(server):
    answer = server.curl("/actuator/health", "--fail")
    assert answer.status == 200
    health = answer.json
    assert health["status"] == "UP"
    assert {name: part["status"] for name, part in health["components"].items()} == {
        "livenessState": "UP", "readinessState": "UP", "memory": "UP", "sockets": "UP"}
    memory = health["components"]["memory"]["details"]
    assert 0 < memory["used"] < memory["limit"]
    for probe in ("liveness", "readiness"):
        assert probe in health["groups"]
        answer = server.get(f"/actuator/health/{probe}")
        assert (answer.status, answer.json) == (200, {"status": "UP"})


def test_the_links_lead_to_the_rest(server):
    links = server.get("/actuator").json["_links"]
    assert {"self", "health", "info", "metrics", "prometheus"} <= set(links)
    base = f"http://{server.rest[0]}:{server.rest[1]}"
    for link in links.values():
        assert link["href"].startswith(base + "/actuator")
        if not link["templated"]:
            assert server.get(link["href"][len(base):]).status == 200


def test_info_names_the_build_and_no_secret(server):
    info = server.get("/actuator/info").json
    assert info["build"]["name"] == "pushca"
    assert re.match(r"\d+\.\d+\.\d+", info["build"]["version"])
    assert info["pusher"]["shards"] == 2
    for path in ("", "/health", "/info", "/metrics", "/prometheus"):
        assert SECRET.encode() not in server.get("/actuator" + path).body


def parse_prometheus(text):
    """(types, helps, samples); every line must be one of the format's three kinds."""
    types, helps, samples = {}, {}, []
    for line in text.splitlines():
        if found := re.fullmatch(r"# HELP (\w+) (.+)", line):
            assert found[1] not in helps
            helps[found[1]] = found[2]
        elif found := re.fullmatch(r"# TYPE (\w+) (counter|gauge)", line):
            assert found[1] not in types
            types[found[1]] = found[2]
        else:
            found = re.fullmatch(r'(\w+)(\{\w+="[^"]*"(?:,\w+="[^"]*")*\})? (-?\d+(?:\.\d+)?)', line)
            assert found, line
            assert list(types)[-1] == found[1], "samples of one name stand together, behind its TYPE"
            samples.append((found[1], found[2] or "", float(found[3])))
    return types, helps, samples


def test_prometheus_text_is_well_formed(server):
    answer = server.get("/actuator/prometheus")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    types, helps, samples = parse_prometheus(answer.body.decode())
    assert set(types) == set(helps) == {name for name, _, _ in samples}
    assert len({(name, labels) for name, labels, _ in samples}) == len(samples)
    for name, kind in types.items():
        assert name.startswith("pushca_")
        assert name.endswith("_total") == (kind == "counter")
    names = {name + labels for name, labels, _ in samples}
    for entry in ("rest", "websocket"):
        for kind in ("plain", "acknowledged"):
            assert f'pushca_accepted_total{{class="{kind}",entry="{entry}"}}' in names
        assert f'pushca_connections{{listener="{entry}"}}' in names
    for reason in ("no_match", "queue_full", "closed"):
        assert f'pushca_dropped_total{{reason="{reason}"}}' in names
    assert {"pushca_sockets", "pushca_queued_bytes", "pushca_acknowledged_total", "pushca_expired_total",
            'pushca_delivered_total{class="plain"}', 'pushca_delivered_total{class="acknowledged"}'} <= names


def test_every_metric_is_there_by_name_and_by_tag(server):
    names = server.get("/actuator/metrics").json["names"]
    assert len(set(names)) == len(names)
    prometheus = server.metrics()
    for name in names:
        metric = server.get("/actuator/metrics/" + name).json
        assert metric["name"] == name and metric["description"]
        assert metric["measurements"][0]["statistic"] in ("VALUE", "COUNT")
        stem = name.replace(".", "_")
        assert any(one.startswith(stem) for one in prometheus)
        for tag in metric["availableTags"]:
            for value in tag["values"]:
                part = server.get(f"/actuator/metrics/{name}?tag={tag['tag']}:{value}")
                assert part.status == 200
                assert any(f'{tag["tag"]}="{value}"' in one for one in prometheus if one.startswith(stem))


@pytest.mark.parametrize("page", ["operations", "threat-model", "cluster"])
def test_a_page_names_no_metric_that_is_not(server, page):
    _, _, samples = parse_prometheus(server.get("/actuator/prometheus").body.decode())
    there = {name for name, _, _ in samples} | {name + labels for name, labels, _ in samples}
    named = set(re.findall(r"`(pushca_\w+(?:\{[^}]*\})?)`", (ROOT / f"docs/{page}.md").read_text()))
    assert named and named <= there, named - there


def test_the_operators_page_tells_every_reason_to_refuse_and_to_close(server):
    _, _, samples = parse_prometheus(server.get("/actuator/prometheus").body.decode())
    page = (ROOT / "docs/operations.md").read_text()
    wanted = {name + labels for name, labels, _ in samples if name in ("pushca_refused_total", "pushca_sockets_closed_total")}
    assert len(wanted) > 9 and not {one for one in wanted if f"`{one}`" not in page}


def test_a_metric_by_tags_counts_only_those():
    with Server() as server:
        for _ in range(3):
            assert server.post(PLAIN, {"filter": {}, "message": "x"}).status == 200

        def value(query):
            return server.get("/actuator/metrics/pushca.accepted" + query).json["measurements"][0]["value"]

        assert value("") == 3
        assert value("?tag=class:plain") == 3
        assert value("?tag=class%3Aplain&tag=entry:rest") == 3
        assert value("?tag=entry:websocket") == 0
        for query in ("?tag=class:other", "?tag=nonsense", "?tag=entry:rest&tag=class:plain&tag=class:plain"):
            assert server.get("/actuator/metrics/pushca.accepted" + query).status == 404


def test_counters_follow_what_happens():
    who = identity("metered")

    async def run(server):
        async with websockets.connect(server.open(who)) as receiver:
            assert server.metrics()["pushca_sockets"] == 1
            assert server.metrics()["pushca_clients"] == 1
            await asyncio.to_thread(server.post, PLAIN, {"filter": who, "message": "one"})
            await asyncio.wait_for(receiver.recv(), 10)
            await asyncio.to_thread(server.post, PLAIN, {"filter": identity("absent"), "message": "none"})
            body = {"client": who, "message": "two"}
            asking = asyncio.ensure_future(asyncio.to_thread(server.post, "/send-notification-with-acknowledge", body))
            mid = (await asyncio.wait_for(receiver.recv(), 10)).split("@@")[0]
            await receiver.send(json.dumps({"command": "ACKNOWLEDGE", "metaData": {"messageId": mid}}))
            assert (await asking).status == 200
            await receiver.send(json.dumps({"command": "ACKNOWLEDGE", "metaData": {"messageId": mid}}))
            await receiver.send("PING")
            assert await asyncio.wait_for(receiver.recv(), 10) == "PONG"

    with Server() as server:
        asyncio.run(run(server))
        server.wait_for_metric("pushca_sockets", 0)
        server.wait_for_metric("pushca_clients", 0)
        for name, value in {
            'pushca_accepted_total{class="plain",entry="rest"}': 2,
            'pushca_accepted_total{class="acknowledged",entry="rest"}': 1,
            'pushca_delivered_total{class="plain"}': 1,
            'pushca_delivered_total{class="acknowledged"}': 1,
            'pushca_dropped_total{reason="no_match"}': 1,
            "pushca_acknowledged_total": 1,
            "pushca_acknowledges_unknown_total": 1,
            "pushca_deliveries_open": 0,
            "pushca_queued_bytes": 0,
            'pushca_handshakes_total{result="accepted"}': 1,
            'pushca_handshakes_total{result="refused"}': 0,
            'pushca_connections{listener="websocket"}': 0,
        }.items():
            server.wait_for_metric(name, value)  # a cell may still be on its way when its client goes on


def test_readiness_goes_down_while_it_drains_and_liveness_stays_up():
    """A socket that never answers the Close keeps the drain going; connections that were open are still served."""
    with Server("pushca.limits.close-wait-ms=3000", "pushca.drain-ms=4000") as server:
        answer, silent, _ = server.handshake("/" + server.open().rsplit("/", 1)[1])
        assert answer.status == 101
        kept = [socket.create_connection(server.rest, timeout=10) for _ in range(3)]
        for sock in kept:
            # a request under way when the drain begins, so that the connection is not idle
            sock.sendall(b"GET /actuator/health")
        server.wait_for_metric('pushca_connections{listener="rest"}', 4)
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        assert silent.recv(100)[:1] == b"\x88"
        paths = ("", "/readiness", "/liveness")
        got = []
        for sock, path in zip(kept, paths):
            sock.sendall(f"{path} HTTP/1.1\r\nHost: t\r\n\r\n".encode())
            data = b""
            while not parse_answer(data):
                more = sock.recv(65536)
                assert more
                data += more
            got.append(parse_answer(data)[0])
            sock.close()
        assert [(one.status, one.json["status"]) for one in got] == [(503, "DOWN"), (503, "DOWN"), (200, "UP")]
        assert all(one.headers["connection"] == "close" for one in got)
        with pytest.raises(ConnectionRefusedError):
            until = time.monotonic() + 2
            while time.monotonic() < until:
                socket.create_connection(server.rest, timeout=1).close()
        silent.close()
        stopping.join()
        assert server.process.returncode == 0

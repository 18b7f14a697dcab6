"""The nginx configuration of deploy/ in front of real servers, and of some that refuse or break off."""

import asyncio
import concurrent.futures
import contextlib
import http.client
import json
import signal
import socket
import threading
import time
import urllib.parse

import pytest
import websockets

from nginx import NGINX, Nginx, free_ports
from pushca import Server, identity

SECRET = "a secret of the tests, thirty-two bytes at least"
MIB = 1 << 20
ACCEPTED = 'pushca_accepted_total{class="plain",entry="rest"}'

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")


class Site:
    """So many servers, each by itself, behind one nginx."""

    def __init__(self, stack, folder, count, others=()):
        """others: (REST port, WebSocket port) of nodes that are not ours."""
        self.port, *listens = free_ports(1 + count + len(others))
        self.servers = [
            stack.enter_context(Server(f"pushca.coordinator.secret-key={SECRET}", f"pushca.pusher.instance-id=pusher-{n}",
                                       f"pushca.pusher.external-advertised-url=ws://127.0.0.1:{listen}/"))
            for n, listen in zip(range(count), listens)]
        nodes = [(server.rest[1], server.ws[1]) for server in self.servers]
        self.nginx = stack.enter_context(Nginx(folder / "nginx", nodes + list(others), self.port, listens))

    def ask(self, method, path, body=None, connection=None):
        """(status, body), on a connection of its own unless one is given."""
        line = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            payload = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            line.request(method, path, payload, {"Content-Type": "application/json"} if payload else {})
            answer = line.getresponse()
            return answer.status, answer.read()
        finally:
            if not connection:
                line.close()

    def open(self, who):
        status, body = self.ask("POST", "/pushca/open-connection", {"client": who})
        assert status == 200, body
        return json.loads(body)

    def send(self, message, connection=None, **dimensions):
        return self.ask("POST", "/pushca/send-notification",
                        {"filter": dimensions or {"applicationId": "MY_APPLICATION"}, "message": message}, connection)[0]

    def path_at(self, number, who):
        """A token by server `number` itself, to be used at any listener."""
        return urllib.parse.urlsplit(self.servers[number].open(who)).path


@pytest.fixture(name="site")
def make_site(tmp_path):
    with contextlib.ExitStack() as stack:
        yield lambda count, others=(): Site(stack, tmp_path, count, others)


async def collect(connection, count, wait=60):
    return [await asyncio.wait_for(connection.recv(), wait) for _ in range(count)]


async def nothing_more(connection):
    """What was queued before an answer to this PING."""
    await connection.send('{"command":"PING"}')
    assert await asyncio.wait_for(connection.recv(), 60) == "PONG"


def test_what_a_client_does_goes_through(site):
    site = site(1)

    async def run():
        opened = site.open(identity())
        assert opened["externalAdvertisedUrl"].startswith(f"ws://127.0.0.1:{site.nginx.listens[0]}/")
        async with websockets.connect(opened["externalAdvertisedUrl"], max_size=None) as connection:
            assert site.send("hello") == 200
            assert await collect(connection, 1) == ["hello"]
            acked = asyncio.get_running_loop().run_in_executor(None, lambda: site.ask(
                "POST", "/pushca/send-notification-with-acknowledge", {"client": identity(), "message": "sure?"}))
            name, _, text = (await collect(connection, 1))[0].partition("@@")
            assert text == "sure?"
            await connection.send(json.dumps({"command": "ACKNOWLEDGE", "metaData": {"messageId": name}}))
            assert (await acked)[0] == 200
            large = "x" * (4 * MIB)
            await connection.send(json.dumps({"command": "SEND_MESSAGE", "metaData": {
                "filter": {"applicationId": "MY_APPLICATION"}, "message": large}}))
            assert await collect(connection, 1) == [large]
        pool = json.loads(site.ask("POST", "/pushca/open-connection-pool", {"client": identity(), "poolSize": 3})[1])
        assert json.dumps(pool).count(f"ws://127.0.0.1:{site.nginx.listens[0]}/") >= 3
        status, _ = site.ask("POST", "/pushca/send-notification-with-acknowledge", {"client": identity("none"), "message": "x"})
        assert status == 408

    asyncio.run(run())


def test_a_body_has_a_mebibyte_at_most(site):
    site = site(1)
    frame = json.dumps({"filter": {"applicationId": "MY_APPLICATION"}, "message": ""}, separators=(",", ":"))

    async def run():
        async with websockets.connect(site.open(identity())["externalAdvertisedUrl"], max_size=None) as connection:
            message = "m" * (MIB - len(frame))
            body = frame.replace('""', f'"{message}"').encode()
            assert len(body) == MIB
            assert site.ask("POST", "/pushca/send-notification", body)[0] == 200
            assert await collect(connection, 1) == [message]
            assert site.ask("POST", "/pushca/send-notification", body + b" ")[0] == 413

    asyncio.run(run())


@pytest.mark.parametrize("path", [
    "/", "/pushca", "/pushca/", "/actuator", "/pushca/actuator/health", "/actuator/prometheus", "/pushca/../actuator",
    "/swagger-ui/index.html", "/send-notification", "/pushca/send-notification/", "/pushca/open-connection/x",
    "/pushca//actuator", "/pushca/open-connection/../../actuator/env"])
def test_nothing_else_is_reached(site, path):
    site = site(1)
    status, body = site.ask("GET", path)
    assert status == 404 and b"nothing at this path" in body
    assert site.servers[0].metrics()["pushca_http_requests_total"] == 1


def test_what_the_server_refuses_arrives_as_it_said_it(site):
    site = site(1)
    status, body = site.ask("POST", "/pushca/send-notification", b"{")
    assert status == 400 and json.loads(body)["path"] == "/send-notification"
    assert site.ask("GET", "/pushca/send-notification")[0] == 405
    status, _ = site.ask("POST", "/pushca/open-connection", {"client": identity(workSpaceId="")})
    assert status == 400


def test_many_requests_over_all_servers(site):
    site, threads, each = site(3), 8, 250

    async def run():
        async with contextlib.AsyncExitStack() as stack:
            connections = [await stack.enter_async_context(websockets.connect(f"ws://127.0.0.1:{listen}{site.path_at(n, identity())}"))
                           for n, listen in enumerate(site.nginx.listens)]

            def work(thread):
                line = http.client.HTTPConnection("127.0.0.1", site.port, timeout=60)
                with contextlib.closing(line):
                    return [site.send(f"{thread}-{i}", line) for i in range(each)]

            loop = asyncio.get_running_loop()
            with concurrent.futures.ThreadPoolExecutor(threads) as pool:
                found = await asyncio.gather(*[loop.run_in_executor(pool, work, thread) for thread in range(threads)])
            assert [status for statuses in found for status in statuses] == [200] * (threads * each)
            got = []
            for server, connection in zip(site.servers, connections):
                count = int(server.metrics()[ACCEPTED])
                assert count > 0
                got += await collect(connection, count)
                await nothing_more(connection)
            assert sorted(got) == sorted(f"{thread}-{i}" for thread in range(threads) for i in range(each))

    asyncio.run(run())


def test_a_killed_server_is_passed_by(site):
    site = site(3)

    async def run():
        async with contextlib.AsyncExitStack() as stack:
            old = site.path_at(0, identity("old"))
            connections = [await stack.enter_async_context(websockets.connect(f"ws://127.0.0.1:{listen}{site.path_at(n, identity())}"))
                           for n, listen in enumerate(site.nginx.listens)]
            assert [site.send("before") for _ in range(30)] == [200] * 30
            site.servers[0].process.send_signal(signal.SIGKILL)
            site.servers[0].process.wait()
            with pytest.raises(websockets.ConnectionClosed):
                while True:
                    await asyncio.wait_for(connections[0].recv(), 60)
            # what was on its way may be lost with the server, and that is said
            statuses = [site.send(f"after-{i}") for i in range(100)]
            assert set(statuses) <= {200, 502} and statuses[-50:] == [200] * 50
            got = []
            for connection in connections[1:]:
                await connection.send('{"command":"PING"}')
                while (text := await asyncio.wait_for(connection.recv(), 60)) != "PONG":
                    got.append(text)
            assert sorted(text for text in got if text != "before") == sorted(
                f"after-{i}" for i, status in enumerate(statuses) if status == 200)
            # its clients come back by the URL they have: another server takes them
            async with websockets.connect(f"ws://127.0.0.1:{site.nginx.listens[0]}{old}") as back:
                await nothing_more(back)
            assert all(site.open(identity(str(i)))["pusherInstanceId"] != "pusher-0" for i in range(20))

    asyncio.run(run())
    site.servers[0].stop()
    site.servers[0].process.returncode = 0  # it was we


class Stub:
    """A node that takes whole requests and answers all of them in one way, or hangs up."""

    def __init__(self, answer):
        self.answer, self.requests = answer, 0
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._serve, args=(self.sock.accept()[0],), daemon=True).start()

    def _serve(self, sock):
        got = b""
        with sock, contextlib.suppress(OSError):
            while more := sock.recv(65536):
                got += more
                head, end, body = got.partition(b"\r\n\r\n")
                length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0)
                if not end or len(body) < length:
                    continue
                self.requests += 1
                if not self.answer:
                    return
                sock.sendall(self.answer)
                got = b""

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.sock.close()


def refusal(status, reason):
    return f"HTTP/1.1 {status} {reason}\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n{{}}".encode()


def delivered(site):
    return int(sum(server.metrics()[ACCEPTED] for server in site.servers))


@pytest.mark.parametrize("status, reason", [(503, "Service Unavailable"), (429, "Too Many Requests")])
def test_what_one_server_refuses_goes_to_another_once(site, status, reason):
    with Stub(refusal(status, reason)) as one, Stub(refusal(status, reason)) as two:
        site = site(1, [(one.port, one.port), (two.port, two.port)])
        assert [site.send(f"{i}") for i in range(60)] == [200] * 60
        assert delivered(site) == 60
        assert one.requests and two.requests
        for i in range(20):
            assert site.open(identity(str(i)))["pusherInstanceId"] == "pusher-0"


def test_what_one_refuses_finds_its_way_past_the_dead(site):
    """One refuses, one is dead, a third takes it: the caller hears of neither."""
    (dead,) = free_ports(1)
    with Stub(refusal(503, "Service Unavailable")) as one:
        site = site(1, [(one.port, one.port), (dead, dead)])
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            assert list(pool.map(site.send, map(str, range(200)))) == [200] * 200
        assert delivered(site) == 200 and one.requests


def test_what_one_refuses_and_another_may_have_taken_is_not_sent_again(site):
    """One refuses, one breaks off behind each request: what that one got it got once, and the caller is told."""
    with Stub(refusal(503, "Service Unavailable")) as one, Stub(b"") as two:
        site = site(1, [(one.port, one.port), (two.port, two.port)])
        statuses = []
        while one.requests < 5 or two.requests < 5:
            statuses.append(site.send("x"))
            time.sleep(0.05)
            assert len(statuses) < 1000
        assert set(statuses) == {200, 502} and two.requests == statuses.count(502)
        assert delivered(site) == statuses.count(200)


def test_when_all_refuse_that_is_the_answer(site):
    with Stub(refusal(503, "Service Unavailable")) as one, Stub(refusal(503, "Service Unavailable")) as two:
        site = site(0, [(one.port, one.port), (two.port, two.port)])
        assert {site.send("x") for _ in range(10)} == {503}


def test_an_acknowledged_send_is_tried_once(site):
    with Stub(refusal(503, "Service Unavailable")) as one:
        site = site(1, [(one.port, one.port)])
        body = {"client": identity("nobody"), "message": "x"}
        statuses = [site.ask("POST", "/pushca/send-notification-with-acknowledge", body)[0] for _ in range(6)]
        assert set(statuses) == {408, 503} and one.requests == statuses.count(503)


def test_what_was_sent_is_not_sent_again(site):
    """A server that breaks off behind a request may have done it."""
    with Stub(b"") as one:
        site = site(1, [(one.port, one.port)])
        for i in range(50):  # a connection string can be asked for twice
            assert site.open(identity(str(i)))["pusherInstanceId"] == "pusher-0"
            if one.requests:
                break
        assert one.requests == 1
        statuses = []
        while 502 not in statuses:
            statuses.append(site.send("x"))
            assert len(statuses) < 50
        assert set(statuses) <= {200, 502} and one.requests == 2
        assert delivered(site) == statuses.count(200)


def test_a_server_that_takes_no_sockets_is_passed_by(site):
    """The listener of one that refuses handshakes."""
    with Stub(refusal(503, "Service Unavailable")) as one:
        site = site(1, [(one.port, one.port)])

        async def run():
            url = f"ws://127.0.0.1:{site.nginx.listens[1]}{site.path_at(0, identity())}"
            for _ in range(3):
                async with websockets.connect(url) as connection:
                    await nothing_more(connection)

        asyncio.run(run())
        assert one.requests >= 1


def test_no_token_is_logged(site):
    site = site(1)
    path = site.path_at(0, identity())

    async def run():
        async with websockets.connect(f"ws://127.0.0.1:{site.nginx.listens[0]}{path}") as connection:
            await nothing_more(connection)

    asyncio.run(run())
    assert site.servers[0].stop() == 0
    with pytest.raises(Exception, match="502"):
        asyncio.run(run())
    assert path[1:30] not in site.nginx.log()

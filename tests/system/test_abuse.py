"""Every kind of abuse for a short while, beside clients that behave: these lose nothing, and the abuser meets its limit."""

import ctypes
import itertools
import json
import os
import pathlib
import re
import resource
import socket
import ssl
import struct
import subprocess
import threading
import time

import pytest

from calm import Calm, attack, readable, ready
from certificates import Certificates, client_hello
from crowd import identity as crowd_identity
from frames import PING, PONG, TEXT, Raw, frame
from pushca import BINARY, Server, identity

SANITIZED = "/release/" not in BINARY
CLIENTS = 100 if SANITIZED else 1000
SECONDS = 1 if SANITIZED else 2
HELLOS = 200 if SANITIZED else 2000

LIMITS = (
    "pushca.limits.head-arrival-ms=1000",
    "pushca.limits.body-arrival-ms=1000",
    "pushca.limits.handshake-ms=1500",
    "pushca.limits.stall-ms=1000",
    "pushca.limits.http-connections=120",
    "pushca.limits.handshakes=300",
    "pushca.limits.pings=500",
    "pushca.limits.bad-commands=500",
    "pushca.limits.message-bytes=256KB",
)


@pytest.fixture(scope="module")
def calm():
    with Server(*LIMITS) as server, Calm(server, CLIENTS) as clients:
        yield clients


def abuser(number=0):
    return identity(f"abuser-{number}", workSpaceId="abuse")


def closed(reason):
    return f'pushca_sockets_closed_total{{reason="{reason}"}}'


def refused(reason):
    return f'pushca_refused_total{{reason="{reason}"}}'


# -- slow ones -----------------------------------------------------------------------------------------


def drip(stop, address, begin, heard, count=100):
    """So many connections that begin, and then say one byte now and then. What they are told goes to heard."""
    open_ones = []
    while not stop.is_set():
        while len(open_ones) < count and not stop.is_set():
            sock = socket.create_connection(address, timeout=10)
            sock.sendall(begin)
            open_ones.append(sock)
        for sock in readable(open_ones):
            try:
                heard.append(sock.recv(4096))
            except ConnectionError:
                heard.append(b"")
            open_ones.remove(sock)
            sock.close()
        for sock in open_ones:
            try:
                sock.send(b"x")
            except OSError:
                pass
        stop.wait(0.1)
    for sock in open_ones:
        sock.close()


POST = b"POST /send-notification HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"


@pytest.mark.parametrize("port, begin", [("rest", b"GET / HTTP/1.1\r\nX: "), ("rest", POST), ("ws", b"GET /token HTTP/1.1\r\nX: ")],
                         ids=["heads", "bodies", "handshakes"])
def test_slow(calm, port, begin):
    heard = []
    with attack(drip, getattr(calm.server, port), begin, heard):
        calm.live(SECONDS)
        calm.wait_until(lambda _: len(heard) >= 100)
    assert {answer[:12] for answer in heard} == {b"HTTP/1.1 408"}


def test_connections_that_say_nothing_fill_their_gate_and_no_more(calm):
    """Of the WebSocket port before their handshake, and of the REST port."""
    for address, gate, reason, limit, open_anyway in (
            (calm.server.ws, 'pushca_connections{listener="websocket"}', "handshakes", 300, 0),
            (calm.server.rest, 'pushca_connections{listener="rest"}', "sockets", 120, 1)):  # the one that asks
        calm.wait_until(lambda m, g=gate, least=open_anyway: m[g] == least)
        before = calm.metrics()
        socks = [socket.create_connection(address, timeout=10) for _ in range(limit - open_anyway + 1)]
        calm.wait_until(lambda m, b=before, r=reason: m[refused(r)] - b[refused(r)] == 1)
        assert calm.metrics()[gate] == limit
        told = readable(socks)
        assert len(told) == 1 and told[0].recv(4096).startswith(b"HTTP/1.1 503 ")
        calm.live(0.5)
        for sock in socks:
            sock.close()
        calm.wait_until(lambda m, b=before, g=gate: m[g] <= b[g])


# -- those who do not read ------------------------------------------------------------------------------


def tell_much(stop, server, who):
    """Messages of 60 KB to those who match, over one connection, as fast as they are taken."""
    body = b'{"filter":{"workSpaceId":"%s"},"message":"%s"}' % (who, b"m" * 60000)
    head = b"POST /send-notification HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    with socket.create_connection(server.rest, timeout=30) as sock:
        while not stop.is_set():
            sock.sendall(head % len(body) + body)
            assert b" 200 " in sock.recv(4096)


def test_receivers_that_never_read(calm):
    before = calm.metrics()
    deaf = [Raw(calm.server, abuser(i)) for i in range(20)]
    with attack(tell_much, calm.server, b"abuse"):
        calm.live(SECONDS)
        calm.wait_until(lambda m: m[closed("slow")] + m[closed("stalled")] - before[closed("slow")] - before[closed("stalled")] == 20)
    for one in deaf:
        one.sock.close()
    calm.settle()


def in_namespace(name, work):
    """work() in a thread that lives in that network namespace; sockets made there stay there."""
    result = []

    def body():
        with open(f"/run/netns/{name}", encoding="ascii") as handle:
            assert ctypes.CDLL(None, use_errno=True).setns(handle.fileno(), CLONE_NEWNET) == 0
        result.append(work())

    thread = threading.Thread(target=body)
    thread.start()
    thread.join(30)
    assert result, "nothing came out of the namespace"
    return result[0]


CLONE_NEWNET = 0x40000000
HERE, THERE = "169.254.213.1", "169.254.213.2"


@pytest.fixture
def far_away():
    """A network namespace and the name of the link to it."""
    name, link = f"pushca-{os.getpid()}", f"pushca{os.getpid() % 100000000}"
    steps = (f"ip netns add {name}", f"ip link add {link} type veth peer name far netns {name}",
             f"ip addr add {HERE}/30 dev {link}", f"ip link set {link} up",
             f"ip -n {name} addr add {THERE}/30 dev far", f"ip -n {name} link set far up")
    try:
        try:
            for step in steps:
                subprocess.run(step.split(), check=True, capture_output=True, timeout=10)
        except (OSError, subprocess.SubprocessError) as failure:
            pytest.skip(f"no network namespace here: {failure}")
        yield name, link
    finally:
        for step in (f"ip link del {link}", f"ip netns del {name}"):
            subprocess.run(step.split(), check=False, capture_output=True, timeout=10)


@pytest.mark.parametrize("size, reason, sets", [(20, "silent", ()), (400000, "stalled", ("pushca.limits.stall-ms=4000",))],
                         ids=["little", "much"])
def test_peers_that_vanish(far_away, size, reason, sets):
    """Their link is cut: no FIN, no reset. Pings find them; or, if much waits, the time in which nobody took anything."""
    name, link = far_away
    count = CLIENTS // 10
    with Server(f"server.address={HERE}", "pushca.pusher.ping-interval-ms=1000", "pushca.pusher.pong-wait-ms=1000",
                *sets) as server, Calm(server, count, bind=False) as calm:
        gone = in_namespace(name, lambda: [Raw(server, abuser(i)) for i in range(30)])
        calm.live(SECONDS / 4)
        before = calm.metrics()
        subprocess.run(["ip", "link", "set", link, "down"], check=True, timeout=10)
        down = time.monotonic()
        assert calm.crowd.post("/send-notification", {"filter": {"workSpaceId": "abuse"}, "message": "m" * size})[0] == 200
        calm.live(SECONDS / 2)
        calm.wait_until(lambda m: m["pushca_sockets"] == count)
        assert time.monotonic() - down < 7.5  # the stall once, and a second
        assert calm.grown(before, closed(reason)) == 30
        calm.live(SECONDS / 4)
        for one in gone:
            one.sock.close()


# -- floods ---------------------------------------------------------------------------------------------


def flood(stop, server, number, data, reads=True):
    """The same bytes again and again; a new connection when one has ended."""
    while not stop.is_set():
        with Raw(server, abuser(number)) as raw:
            raw.sock.setblocking(False)
            rest = memoryview(data)
            while not stop.is_set():
                speaks, hears = ready(raw.sock, reads, 0.1)
                try:
                    if speaks and not raw.sock.recv(1 << 20):
                        break
                    if hears:
                        rest = rest[raw.sock.send(rest):] or memoryview(data)
                except BlockingIOError:
                    pass
                except ConnectionError:
                    break
        stop.wait(0.05)


@pytest.mark.parametrize("message", [frame(PING, b"p" * 125), frame(PONG), frame(TEXT, "PING")], ids=["ping", "pong", "command"])
def test_ping_floods(calm, message):
    before = calm.metrics()
    with attack(flood, calm.server, 0, message * 1000), attack(flood, calm.server, 1, message * 1000):
        calm.live(SECONDS / 2)
        calm.wait_until(lambda m: m[closed("flood")] - before[closed("flood")] >= 2)


@pytest.mark.parametrize("text", ["1@@NONSENSE", "nonsense", '{"command":"NONSENSE"}', "1@@SEND_MESSAGE@@{}", "1@@SEND_MESSAGE@@{"])
def test_floods_of_what_makes_no_sense(calm, text):
    before = calm.metrics()
    with attack(flood, calm.server, 0, frame(TEXT, text) * 1000), attack(flood, calm.server, 1, frame(TEXT, text) * 1000):
        calm.live(SECONDS / 4)
        calm.wait_until(lambda m: m[closed("flood")] - before[closed("flood")] >= 2)


def test_tiny_fragments(calm):
    """One byte each, without an end: the message limit is theirs as well. Empty ones are fewer."""
    before = calm.metrics()
    with attack(flood, calm.server, 0, frame(TEXT, "a", final=False) + frame(0, "a", final=False) * 300000):
        with attack(flood, calm.server, 1, frame(TEXT, "a", final=False) + frame(0, "", final=False) * 1000):
            calm.live(SECONDS)
            calm.wait_until(lambda m: m[closed("protocol")] - before[closed("protocol")] >= 3)
    calm.wait_until(lambda m: m['pushca_memory_part_bytes{part="input"}'] < 10000)


def test_a_flood_whose_answers_are_not_read_is_not_read_either(calm):
    """Good commands, so that no count of bad ones ends it: reading stops, and after a while the connection."""
    before = calm.metrics()
    with attack(flood, calm.server, 0, frame(TEXT, "1@@REFRESH_TOKEN") * 1000, False):
        calm.live(SECONDS)
        calm.wait_until(lambda m: m[closed("stalled")] + m[closed("slow")] > before[closed("stalled")] + before[closed("slow")])


DEEP = '1@@SEND_MESSAGE@@' + "[" * 200000
WIDE = '1@@SEND_MESSAGE@@{' + ",".join(f'"k{i}":{i}' for i in range(18000)) + "}"
LONG = '1@@SEND_MESSAGE@@{"message":"' + "\\u0041" * 40000 + '"}'


@pytest.mark.parametrize("text", [DEEP, WIDE, LONG], ids=["deep", "wide", "long"])
def test_huge_and_deep_json(calm, text):
    with Raw(calm.server, abuser(9)) as raw:
        raw.say(text)
        assert raw.text().startswith('1@@RESPONSE@@{"error":')
    body = text.partition("{")[0].partition("[")[0]
    body = text[len(body):].encode()
    assert calm.server.post("/send-notification", body).status == 400
    with attack(flood, calm.server, 0, frame(TEXT, text)):
        calm.live(SECONDS / 2)
    calm.wait_until(lambda m: m["pushca_memory_held_bytes"] < 64 << 20)


# -- connections that come and go ------------------------------------------------------------------------


def fifty(address, begin):
    """Connections on which something was said, and whose end is a reset; those that could be made."""
    socks = []
    for _ in range(50):
        try:
            sock = socket.create_connection(address, timeout=10)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.sendall(begin)
            socks.append(sock)
        except OSError:
            pass
    return socks


def storm(stop, address, begin):
    """Connects as fast as it can, says something, and is gone without a word."""
    while not stop.is_set():
        for sock in fifty(address, begin):
            sock.close()


def test_connection_storms(calm):
    before = calm.metrics()
    get = b"GET /actuator/health HTTP/1.1\r\nHost: t\r\n\r\n"
    with attack(storm, calm.server.ws, b"GET /nonsense HTTP/1.1\r\n"), attack(storm, calm.server.rest, get):
        calm.live(SECONDS)
    for port in ("rest", "websocket"):
        gate = f'pushca_connections{{listener="{port}"}}'
        calm.wait_until(lambda m, g=gate: m[g] <= before[g])


def storm_of_hellos(stop, address, most, begun):
    """As storm, but each waits for the server's flight, which is what costs: most of them, and no more."""
    first = client_hello()
    while len(begun) < most and not stop.is_set():
        for sock in fifty(address, first):
            try:
                begun.append(sock.recv(1))
            except OSError:
                pass
            sock.close()


def test_storms_of_handshakes(tmp_path, tell):
    """At the REST port, which speaks TLS; whose connection stands is served as if there were none."""
    made = Certificates(tmp_path)
    tls = ssl.create_default_context(cafile=made["ca.pem"])
    with Server(f"server.ssl.certificate={made['server.pem']}", f"server.ssl.certificate-private-key={made['server.key']}",
                "pushca.pusher.ssl.enabled=false", "pushca.limits.http-connections=300", tls=tls) as server:
        with Calm(server, CLIENTS) as calm:
            before, begun = calm.metrics(), []
            with attack(storm_of_hellos, server.rest, HELLOS, begun, times=4):
                calm.live(SECONDS)
                calm.wait_until(lambda _: len(begun) >= HELLOS // 2)
            failed = 'pushca_tls_handshakes_total{result="failed"}'
            answered = begun.count(b"\x16")
            calm.wait_until(lambda m: m[failed] - before[failed] >= answered)
            calm.wait_until(lambda m: m['pushca_connections{listener="rest"}'] == 1)
            calm.live(SECONDS / 4)
            tell(f"{answered} TLS handshakes begun and left beside {CLIENTS} clients that lost nothing")
        assert server.get("/actuator/health").status == 200


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="no prlimit")
def test_no_descriptors_left(calm):
    """The file limit is lowered below what the gates would let in: whoever comes too late reads 503 or an end."""
    pid = calm.server.process.pid
    limit = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    used = len(os.listdir(f"/proc/{pid}/fd"))
    before = calm.metrics()
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 20, limit[1]))
    try:
        socks = [socket.create_connection(calm.server.ws, timeout=10) for _ in range(60)]
        calm.live(SECONDS)
        answers = []
        for sock in readable(socks):
            try:
                answers.append(sock.recv(4096)[:12])
            except ConnectionResetError:
                answers.append(b"")
        assert len(answers) >= 40
        assert answers.count(b"HTTP/1.1 503") >= 20
        assert calm.grown(before, refused("sockets")) >= 20
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limit)
        for sock in socks:
            sock.close()
    assert calm.server.get("/actuator/health").status == 200


def test_idle_connections_leave_descriptors_to_the_others():
    """A thousand files in all, and more connections of the WebSocket port that say nothing."""
    under = ["prlimit", "--nofile=1024:1024"]
    if os.geteuid() == 0:  # would raise the limit again
        under += ["setpriv", "--bounding-set=-sys_resource"]
    with Server(under=under) as server:
        assert " files=1024 " in server.log()
        socks = [socket.create_connection(server.ws, timeout=10) for _ in range(1100)]
        try:
            for _ in range(20):
                assert server.get("/actuator/health").status == 200
                assert server.open().startswith("ws://")
            assert server.metrics()[refused("sockets")] == 0
        finally:
            for sock in socks:
                sock.close()


# -- memory ---------------------------------------------------------------------------------------------


def pile_up(stop, server, held):
    """Connections that begin long messages and go no further."""
    part = frame(TEXT, "h" * 60000, final=False)
    while not stop.is_set():
        if len(held) < 1500:
            try:
                held.append(Raw(server, abuser(len(held))))
                held[-1].send(part)
            except (AssertionError, OSError):  # refused: that is the point
                stop.wait(0.05)
        else:
            stop.wait(0.05)


def test_memory_is_refused_first_and_taken_back_last():
    count = CLIENTS // 2
    with Server("pushca.limits.memory-bytes=64MB", "pushca.limits.memory-connections-percent=60",
                "pushca.limits.memory-sends-percent=80") as server, Calm(server, count) as calm:
        ticket = "/" + server.open(abuser("late")).rsplit("/", 1)[1]
        held, deaf = [], [Raw(server, abuser(f"deaf-{i}")) for i in range(60)]
        with attack(pile_up, server, held):
            calm.wait_until(lambda m: m[refused("memory")] > 0)
            calm.live(SECONDS / 2)  # connections are refused, sends are not
            assert server.post("/open-connection", {"client": crowd_identity(0)}).status == 429
            assert server.try_handshake(ticket).status == 503
            assert server.try_handshake("/x").status == 401
        part = calm.metrics()
        assert part['pushca_memory_part_bytes{part="input"}'] > 30 << 20
        assert part["pushca_memory_held_bytes"] > 0.6 * (64 << 20)

        with attack(fill_queues, server):
            calm.wait_until(lambda m: m["pushca_memory_held_bytes"] > 0.75 * (64 << 20))
            calm.live(SECONDS / 2, refusals=True)
        assert server.get("/actuator/health/readiness").status == 200
        assert calm.metrics()["pushca_memory_held_bytes"] < 1.05 * (64 << 20)
        for one in held + deaf:
            one.sock.close()
        calm.wait_until(lambda m: m["pushca_memory_held_bytes"] < 20 << 20)
        assert server.post("/open-connection", {"client": crowd_identity(0)}).status == 200


def fill_queues(stop, server):
    """Messages of their own for clients that do not read."""
    head = b"POST /send-notification HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    with socket.create_connection(server.rest, timeout=30) as sock:
        number = 0
        while not stop.is_set():
            who = abuser(f"deaf-{number % 60}")
            filters = ",".join(f'"{name}":"{value}"' for name, value in who.items())
            body = b'{"filter":{%s},"message":"%s"}' % (filters.encode(), b"m" * 60000)
            sock.sendall(head % len(body) + body)
            answer = sock.recv(4096)
            assert b" 200 " in answer or b" 429 " in answer
            number += 1


def test_over_the_whole_budget_those_who_hold_most_are_closed():
    """Sends are never refused here, so that queues fill the memory up."""
    count = CLIENTS // 2
    with Server("pushca.limits.memory-bytes=64MB", "pushca.limits.memory-connections-percent=60",
                "pushca.limits.memory-sends-percent=60", "pushca.limits.memory-readers-percent=61",
                "pushca.limits.queue-bytes=4MB", "pushca.limits.stall-ms=60s") as server, Calm(server, count) as calm:
        deaf = [Raw(server, abuser(f"deaf-{i}")) for i in range(90)]  # messages wait for the first 60
        with attack(fill_queues, server):
            calm.wait_until(lambda m: m[refused("memory")] > 0)
        held = []
        with attack(pile_up_open, server, held, deaf):
            calm.wait_until(lambda m: m[closed("memory")] > 0)
        calm.wait_until(lambda m: m["pushca_memory_held_bytes"] <= 0.61 * (64 << 20))
        assert calm.metrics()[closed("memory")] < 60
        calm.settle()
        for one in deaf:
            one.sock.close()
        calm.wait_until(lambda m: m["pushca_memory_held_bytes"] < 20 << 20)
        calm.live(SECONDS / 4)


def pile_up_open(stop, server, held, socks):
    """Long messages begun on sockets that are open already."""
    for one in socks:
        if stop.is_set():
            return
        try:
            one.sock.settimeout(5)
            one.send(frame(TEXT, "h" * 60000, final=False))
        except OSError:
            pass
    stop.wait(20)


# -- 250 MB -----------------------------------------------------------------------------------------------

MUCH = 25 << 20 if SANITIZED else 250 << 20
GROWTH = 8 << 20


def no_proc():
    return not pathlib.Path("/proc/self/statm").exists()


class Growth:
    """How much more memory the server took since then, at any moment; by its own account, sampled, where sanitizers keep what was freed."""

    def __init__(self, server):
        self.server, self.most = server, 0
        if not SANITIZED:
            pathlib.Path(f"/proc/{server.process.pid}/clear_refs").write_text("5", encoding="ascii")  # begins VmHWM anew
        self.before = server.memory_bytes()

    def look(self):
        if SANITIZED:
            now = self.server.memory_bytes()
        else:
            status = pathlib.Path(f"/proc/{self.server.process.pid}/status").read_text(encoding="ascii")
            now = int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) << 10
        self.most = max(self.most, now - self.before)
        return self.most


def by_rest(server, meta):
    """Sends meta once, again with each call; how many bytes that were."""
    body = json.dumps(meta).encode()
    request = (b"POST /send-notification HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
               b"Content-Length: %d\r\n\r\n" % len(body)) + body
    with socket.create_connection(server.rest, timeout=30) as sock:
        while True:
            sock.sendall(request)
            assert b" 200 " in sock.recv(4096)
            yield len(body)


def by_websocket(server, meta):
    text = json.dumps(meta)
    with Raw(server, abuser("sender")) as raw:
        for number in itertools.count():
            raw.say(f"{number}@@SEND_MESSAGE@@{text}")
            assert raw.text(30) == f"{number}@@RESPONSE"
            yield len(text)


@pytest.mark.skipif(no_proc(), reason="no /proc tells what memory is used")
@pytest.mark.parametrize("way, size, most, reconnects", [
    (by_rest, 60000, GROWTH, False), (by_rest, 60000, GROWTH, True), (by_rest, 1000000, GROWTH, False),
    (by_websocket, 60000, GROWTH, False), (by_websocket, 1000000, GROWTH, False), (by_websocket, (1 << 20) + 26, GROWTH, False),
    (by_websocket, 4000000, 17 << 20, False)])  # four times the message, if one waits
def test_250_mb_sent_to_one_that_never_reads(tell, way, size, most, reconnects):
    """To one identity; also when it comes back each time it was closed."""
    who = abuser()
    with Server() as server:
        deaf = [Raw(server, who)]
        server.post("/send-notification", {"filter": who, "message": "first"})
        growth, sent = Growth(server), 0
        for count in way(server, {"filter": who, "message": "m" * size}):
            sent += count
            growth.look()
            if sent >= MUCH:
                break
            if reconnects and sent // (8 << 20) >= len(deaf):
                deaf.append(Raw(server, who))
        metrics = server.metrics()
        assert metrics[closed("slow")] >= (len(deaf) - 1 if reconnects else 1)
        for one in deaf:
            one.sock.close()
        tell(f"{sent >> 20} MB sent at {len(deaf)} sockets that never read: {growth.most / (1 << 20):.1f} MiB more memory at most")
        assert growth.most <= most


@pytest.mark.parametrize("size, count", [((1 << 20) + 26, 2), (8000000, 1)])
def test_large_messages_reach_one_who_reads(size, count):
    """Two at once that are a little over the limit; the largest one by one."""
    who = abuser()
    with Server() as server, Raw(server, who) as reader:
        senders = [Raw(server, abuser(f"sender-{i}")) for i in range(count)]
        for turn in range(6):
            for sender in senders:
                sender.say(f"{turn}@@SEND_MESSAGE@@" + json.dumps({"filter": who, "message": "m" * size}))
            for _ in senders:
                assert reader.text() == "m" * size
        for sender in senders:
            sender.sock.close()


@pytest.mark.skipif(no_proc(), reason="no /proc tells what memory is used")
@pytest.mark.parametrize("text", ["1@@NONSENSE", "%d@@REFRESH_TOKEN", "PING"])
def test_250_mb_of_commands_whose_answers_are_never_read(tell, text):
    """Reading stops long before; what comes after the connection was given up is read and thrown away for a moment."""
    with Server("pushca.limits.stall-ms=1000", "pushca.limits.pings=0", "pushca.limits.bad-commands=0") as server:
        server.open(abuser())
        before, most, sent = server.memory_bytes(), 0, 0
        data = b"".join(frame(TEXT, text % i if "%" in text else text) for i in range(5000))
        end = time.monotonic() + 20
        with Raw(server, abuser()) as raw:
            raw.sock.setblocking(False)
            rest = memoryview(data)
            while sent < MUCH and time.monotonic() < end:
                try:
                    count = raw.sock.send(rest)
                    sent += count
                    rest = rest[count:] or memoryview(data)
                except BlockingIOError:
                    ready(raw.sock, False, 0.05)
                except ConnectionError:
                    break
                most = max(most, server.memory_bytes() - before)
            server.wait_for_metric("pushca_sockets", 0)
            assert server.metrics()[closed("stalled")] + server.metrics()[closed("slow")] == 1
        tell(f"{sent >> 10} KB of {text} taken from one that never reads: {most / (1 << 20):.1f} MiB more memory at most")
        assert most <= GROWTH

"""permessage-deflate: what is agreed, messages of every size under every agreement, broadcasts, bombs."""

import asyncio
import base64
import json
import os
import pathlib
import re
import socket
import subprocess
import threading
import time
import zlib

import pytest
import websockets
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

from frames import BINARY as BINARY_FRAME
from frames import CLOSE, PING, PONG, TEXT, Raw, frame
from pushca import BINARY, Server, identity

ON = "pushca.pusher.deflate.enabled=true"
KEEP = (
    "pushca.pusher.deflate.server-no-context-takeover=false",
    "pushca.pusher.deflate.client-no-context-takeover=false",
    "pushca.pusher.deflate.memory-bytes=1MB",
)
NAME = "permessage-deflate"
SANITIZED = "/release/" not in BINARY
RSV1 = 4  # of the three reserved bits
TAIL = b"\x00\x00\xff\xff"


def compressed(data, bits=15):
    worker = zlib.compressobj(9, zlib.DEFLATED, -bits)
    return (worker.compress(data) + worker.flush(zlib.Z_SYNC_FLUSH))[: -len(TAIL)]


class Echo:
    """ws-echo on a port of its own."""

    def __init__(self, *sets):
        command = [str(pathlib.Path(BINARY).with_name("ws-echo")), "--port", "0"]
        for one in (ON, *sets):
            command += ["--set", one]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        line = self.process.stderr.readline()
        while line and "port=" not in line:
            line = self.process.stderr.readline()
        self.port = int(line.rpartition("=")[2])

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.process.terminate()
        try:
            assert self.process.wait(20) == 0
        finally:
            self.process.kill()
            self.process.wait()
            self.process.stderr.close()

    def connect(self, **offer):
        offer.setdefault("client_max_window_bits", True)
        return websockets.connect(
            f"ws://127.0.0.1:{self.port}/", compression=None, max_size=None, ping_interval=None,
            extensions=[ClientPerMessageDeflateFactory(**{k: v for k, v in offer.items() if v is not None})],
        )


@pytest.fixture(scope="module")
def forgetful_echo():
    with Echo() as echo:
        yield echo


@pytest.fixture(scope="module")
def keeping_echo():
    with Echo(*KEEP) as echo:
        yield echo


# ---- messages of every size under every agreement ----------------------------------------------------

SIZES = ((0, 20), (16, 100), (64, 100), (255, 50), (256, 50), (1024, 100), (4096, 50), (32768, 10), (131072, 5))
OFFERS = (
    {},
    {"client_max_window_bits": None},
    {"server_no_context_takeover": True},
    {"client_no_context_takeover": True},
    {"server_no_context_takeover": True, "client_no_context_takeover": True},
    *({"server_max_window_bits": bits} for bits in range(9, 16)),
    *({"client_max_window_bits": bits} for bits in range(9, 16)),
    {"server_max_window_bits": 9, "client_max_window_bits": 9, "server_no_context_takeover": True},
    {"server_max_window_bits": 8},  # not to be had: nothing is compressed, everything works
)


def json_of(size, number):
    text = json.dumps([{"number": number, "price": number * 7 % 1000, "text": "größer"}] * (size // 50 + 1), ensure_ascii=False)
    while len(text.encode()) > size:
        text = text[: len(text) - max(1, (len(text.encode()) - size) // 2)]
    return text


async def echo_all(echo, offer, sizes):
    async with echo.connect(**offer) as ws:
        for size, count in sizes:
            messages = [json_of(size, n) for n in range(count)]
            messages.append(os.urandom(size))
            for message in messages:
                await ws.send(message)
            for message in messages:
                assert await asyncio.wait_for(ws.recv(), 30) == message
        return ws.response_headers.get("Sec-WebSocket-Extensions")


@pytest.mark.parametrize("offer", OFFERS, ids=lambda o: ",".join(f"{k}={v}" for k, v in o.items()) or "plain")
@pytest.mark.parametrize("kind", ["forgetful", "keeping"])
def test_every_agreement_carries_every_size(kind, offer, request):
    echo = request.getfixturevalue(f"{kind}_echo")
    answer = asyncio.run(echo_all(echo, offer, SIZES))
    if offer.get("server_max_window_bits") == 8:
        assert answer is None
        return
    assert answer.startswith(NAME)
    for name, value in offer.items():
        if name.startswith("server") or value is not True and value not in (None, 15):
            assert name + (f"={value}" if value is not True else "") in answer
    assert ("server_no_context_takeover" in answer) == (kind == "forgetful" or "server_no_context_takeover" in offer)


@pytest.mark.parametrize("piece", [1, 64, 5000])
@pytest.mark.parametrize("kind", ["forgetful", "keeping"])
def test_fragments_are_put_together(kind, piece, request):
    async def talk(echo):
        async with echo.connect() as ws:
            for size in (0, 300, 40 * piece):
                text = "".join(chr(97 + (n * n) % 26) for n in range(size))
                await ws.send([text[at : at + piece] for at in range(0, size, piece)] or text)
                assert await asyncio.wait_for(ws.recv(), 30) == text

    asyncio.run(talk(request.getfixturevalue(f"{kind}_echo")))


# ---- frames by hand ----------------------------------------------------------------------------------


class Peer:
    """A raw WebSocket that agreed on compression with an echo server."""

    def __init__(self, echo, offer=""):
        self.sock = socket.create_connection(("127.0.0.1", echo.port), timeout=20)
        self.sock.sendall(
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Sec-WebSocket-Extensions: permessage-deflate" + offer.encode() + b"\r\n\r\n"
        )
        self.file = self.sock.makefile("rb")
        self.head = b""
        while not self.head.endswith(b"\r\n\r\n"):
            self.head += self.file.readline()
        assert b" 101 " in self.head and NAME.encode() in self.head

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.file.close()
        self.sock.close()

    def receive(self):
        """(first byte, payload)"""
        head = self.file.read(2)
        length = head[1] & 127
        if length > 125:
            length = int.from_bytes(self.file.read(2 if length == 126 else 8), "big")
        return head[0], self.file.read(length)

    def agreed(self):
        """The parameters of the answer; those without a value have None."""
        line = re.search(r"Sec-WebSocket-Extensions: permessage-deflate(.*)", self.head.decode())[1]
        pairs = (one.strip().partition("=") for one in line.split(";")[1:])
        return {name: int(value) if value else None for name, _, value in pairs}

    def outcome(self):
        """A message inflated, or the code it was closed with."""
        first, payload = self.receive()
        if first & 15 == CLOSE:
            assert self.file.read() == b""
            return int.from_bytes(payload[:2], "big")
        return zlib.decompressobj(-15).decompress(payload + TAIL) if first & 64 else payload


HELLO = b"\xf2\x48\xcd\xc9\xc9\x07\x00"
CASES = (
    ("Hello, one block", [frame(TEXT, HELLO, reserved=RSV1)], b"Hello"),
    ("uncompressed beside it", [frame(TEXT, "Hello")], b"Hello"),
    ("stored block", [frame(TEXT, b"\x00\x05\x00\xfa\xffHello\x00", reserved=RSV1)], b"Hello"),
    ("final block", [frame(TEXT, b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", reserved=RSV1)], b"Hello"),
    ("two blocks", [frame(TEXT, b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", reserved=RSV1)], b"Hello"),
    ("fragments", [frame(TEXT, HELLO[:3], final=False, reserved=RSV1), frame(0, HELLO[3:])], b"Hello"),
    ("empty", [frame(TEXT, b"\x00", reserved=RSV1)], b""),
    ("only an empty frame", [frame(TEXT, b"", reserved=RSV1)], b""),
    ("bit on a continuation", [frame(TEXT, HELLO[:3], final=False, reserved=RSV1), frame(0, HELLO[3:], reserved=RSV1)], 1002),
    ("bit on a ping", [frame(PING, HELLO, reserved=RSV1)], 1002),
    ("bit on a close", [frame(CLOSE, b"\x03\xe8", reserved=RSV1)], 1002),
    ("second bit", [frame(TEXT, HELLO, reserved=2)], 1002),
    ("first and third bit", [frame(TEXT, HELLO, reserved=5)], 1002),
    ("no such block", [frame(BINARY_FRAME, b"\x07", reserved=RSV1)], 1007),
    ("cut off", [frame(BINARY_FRAME, HELLO[:4], reserved=RSV1)], 1007),
    ("context that is not kept", [frame(TEXT, b"\xf2\x00\x11\x00\x00", reserved=RSV1)], 1007),
    ("bad text, not at its end", [frame(TEXT, compressed(b"a\xff" + b"b" * 9), final=False, reserved=RSV1)], 1007),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_frames_by_hand(forgetful_echo, case):
    _, frames, wanted = case
    with Peer(forgetful_echo) as peer:
        for octets in frames:
            peer.sock.sendall(octets)
        assert peer.outcome() == wanted


def test_a_ping_between_compressed_fragments_is_answered_at_once(forgetful_echo):
    with Peer(forgetful_echo) as peer:
        peer.sock.sendall(frame(TEXT, HELLO[:3], final=False, reserved=RSV1) + frame(PING, "?"))
        assert peer.receive() == (128 | PONG, b"?")
        peer.sock.sendall(frame(0, HELLO[3:]))
        assert peer.outcome() == b"Hello"


# ---- echoes ------------------------------------------------------------------------------------------


class Compressor:
    """What one side sends, as it was agreed."""

    def __init__(self, bits, forgets):
        self.bits, self.forgets = bits, forgets
        self.worker = zlib.compressobj(9, zlib.DEFLATED, -bits)

    def add(self, data):
        if self.forgets:
            self.worker = zlib.compressobj(9, zlib.DEFLATED, -self.bits)
        return (self.worker.compress(data) + self.worker.flush(zlib.Z_SYNC_FLUSH))[: -len(TAIL)]


class Decompressor:
    """What the other one sent, in no larger window than was agreed."""

    def __init__(self, bits, forgets):
        self.bits, self.forgets = bits, forgets
        self.worker = zlib.decompressobj(-bits)

    def add(self, data):
        if self.forgets:
            self.worker = zlib.decompressobj(-self.bits)
        return self.worker.decompress(data + TAIL)


PARAMETERS = (
    "", "; server_no_context_takeover", "; client_no_context_takeover",
    "; server_no_context_takeover; client_no_context_takeover",
    *(f"; server_max_window_bits={bits}" for bits in range(9, 16)),
    *(f"; client_max_window_bits={bits}" for bits in range(8, 16)),
    "; server_max_window_bits=9; client_max_window_bits=9; server_no_context_takeover",
)


@pytest.mark.parametrize("offer", PARAMETERS, ids=lambda offer: offer[2:] or "plain")
@pytest.mark.parametrize("kind", ["forgetful", "keeping"])
def test_echoes_come_compressed_as_agreed(kind, offer, request):
    """One after the other with pings between them: nothing overtakes, contexts are those of the order of sending."""
    noise = os.urandom(3000).hex()
    texts = [*(json_of(size, 1) for size in (300, 5000, 40000, 5000)), "b", noise + noise, "", noise, json_of(5000, 2)]
    with Peer(request.getfixturevalue(f"{kind}_echo"), offer) as peer:
        terms = peer.agreed()
        ours = Compressor(max(9, terms.get("client_max_window_bits") or 15), "client_no_context_takeover" in terms)
        theirs = Decompressor(terms.get("server_max_window_bits", 15), "server_no_context_takeover" in terms)
        assert theirs.forgets == (kind == "forgetful" or "server_no" in offer)
        assert ours.forgets == (kind == "forgetful" or "client_no" in offer)
        for number, text in enumerate(texts):
            peer.sock.sendall(frame(TEXT, ours.add(text.encode()), reserved=RSV1) + frame(PING, f"{number}"))
        lengths = []
        for number, text in enumerate(texts):
            first, payload = peer.receive()
            if len(text) > 255:
                assert first == 128 | RSV1 << 4 | TEXT and len(payload) < len(text.encode()) * 0.6
            got = theirs.add(payload) if first & RSV1 << 4 else payload
            assert got.decode() == text
            assert peer.receive() == (128 | PONG, b"%d" % number)
            lengths.append(len(payload))
        if theirs.bits > 12:  # the noise fits: it is short when it was said before
            assert (lengths[7] < lengths[5] / 4) == (not theirs.forgets)


def test_what_does_not_get_smaller_comes_back_as_it_is(forgetful_echo, keeping_echo):
    noise = os.urandom(5000)
    for echo, first in ((forgetful_echo, 128 | BINARY_FRAME), (keeping_echo, 128 | RSV1 << 4 | BINARY_FRAME)):
        with Peer(echo) as peer:
            peer.sock.sendall(frame(BINARY_FRAME, noise))
            assert peer.receive()[0] == first  # a context that is kept takes all


@pytest.mark.parametrize("kind", ["forgetful", "keeping"])
def test_echoes_wait_for_a_peer_that_does_not_read(kind, request):
    """The server stops reading, so the sender stops; when it reads, all of it comes back in order."""
    texts = [os.urandom(30000).hex() for _ in range(500)]
    with Peer(request.getfixturevalue(f"{kind}_echo")) as peer:
        theirs = Decompressor(15, kind == "forgetful")
        done = threading.Event()
        writer = threading.Thread(target=lambda: [peer.sock.sendall(frame(TEXT, one)) for one in texts] and done.set())
        writer.start()
        assert not done.wait(0.5), "the server takes whatever comes"
        for text in texts:
            first, payload = peer.receive()
            assert first == 128 | RSV1 << 4 | TEXT and theirs.add(payload).decode() == text
        writer.join()


# ---- what is agreed with the server ------------------------------------------------------------------


def agreed(server, offer, path=None):
    answer, sock, _ = server.handshake(path or "/" + server.open().rsplit("/", 1)[1], Sec_WebSocket_Extensions=offer)
    sock.close()
    return answer.status, answer.headers.get("sec-websocket-extensions")


def test_it_is_off_unless_switched_on():
    with Server() as server:
        assert agreed(server, NAME) == (101, None)
        assert agreed(server, NAME + "; broken=") == (400, None)
        with Raw(server) as raw:
            raw.send(frame(TEXT, HELLO, reserved=RSV1))
            assert raw.close_code() == 1002


@pytest.fixture(scope="module")
def server():
    with Server(ON, "pushca.pusher.shards=1") as running:
        yield running


def test_the_server_agrees_on_what_it_can(server):
    usual = NAME + "; server_no_context_takeover; client_no_context_takeover"
    assert agreed(server, NAME) == (101, usual)
    assert agreed(server, NAME + "; client_max_window_bits") == (101, usual)
    assert agreed(server, f"other, {NAME}; what, {NAME}; server_max_window_bits=10") == (101, usual + "; server_max_window_bits=10")
    assert agreed(server, NAME + "; server_max_window_bits=8") == (101, None)
    assert agreed(server, NAME + "; x=\"") == (400, None)


def test_signing_in_is_never_compressed(server):
    text = base64.urlsafe_b64encode(json.dumps({"client": identity()}).encode()).rstrip(b"=").decode()
    assert agreed(server, NAME, "/sign-in/" + text) == (101, None)


def client(server, who):
    return websockets.connect(
        server.open(who), compression=None, ping_interval=None,
        extensions=[ClientPerMessageDeflateFactory(client_max_window_bits=True)],
    )


# ---- broadcasts --------------------------------------------------------------------------------------

OUT = 'pushca_deflate_messages_total{direction="out"}'
IN = 'pushca_deflate_messages_total{direction="in"}'
SAVED = "pushca_deflate_saved_bytes_total"
HELD = "pushca_deflate_held_bytes"


async def broadcast(server, receivers, plain, message):
    sockets = [await client(server, identity(f"r{n}", workSpaceId="all")) for n in range(receivers)]
    for n in range(plain):
        url = server.open(identity(f"p{n}", workSpaceId="all"))
        sockets.append(await websockets.connect(url, compression=None, ping_interval=None))
    before = server.metrics()
    body = {"filter": {"workSpaceId": "all"}, "message": message}
    loop = asyncio.get_running_loop()
    assert (await loop.run_in_executor(None, lambda: server.post("/send-notification", body))).status == 200
    for ws in sockets:
        assert await asyncio.wait_for(ws.recv(), 30) == message
    after = server.metrics()
    for ws in sockets:
        await ws.close()
    return {name: after[name] - before[name] for name in (OUT, SAVED)}


def test_a_broadcast_is_compressed_once(server):
    message = json.dumps([{"price": n, "what": "something"} for n in range(30)])
    found = asyncio.run(broadcast(server, 60, 5, message))
    assert found[OUT] == 1
    assert found[SAVED] > 60 * len(message) / 2
    assert asyncio.run(broadcast(server, 20, 0, "short"))[OUT] == 0


@pytest.mark.tsan
def test_on_many_shards_hardly_more_often():
    with Server(ON, "pushca.pusher.shards=4") as many:
        message = json.dumps([{"price": n, "what": "something"} for n in range(30)])
        found = asyncio.run(broadcast(many, 40, 0, message))
        assert 1 <= found[OUT] <= 4  # two shards may begin at the same moment


def test_commands_come_compressed_and_answers_leave_so(server):
    async def talk():
        one, other = identity("one"), identity("other")
        async with client(server, one) as alice, client(server, other) as bob:
            text = "long enough to be compressed " * 20
            before = server.metrics()
            await alice.send("m1@@SEND_MESSAGE@@" + json.dumps({"filter": other, "message": text}))
            assert await asyncio.wait_for(bob.recv(), 20) == text
            assert (await asyncio.wait_for(alice.recv(), 20)).startswith("m1@@RESPONSE")
            after = server.metrics()
            assert after[IN] - before[IN] == 1 and after[OUT] - before[OUT] == 1

    asyncio.run(talk())


# ---- memory ------------------------------------------------------------------------------------------

LIMIT = 8 << 20


def raw_client(server, name):
    url = server.open(identity(name))
    answer, sock, rest = server.handshake("/" + url.rsplit("/", 1)[1], Sec_WebSocket_Extensions=NAME)
    assert answer.status == 101 and answer.headers["sec-websocket-extensions"].startswith(NAME)
    raw = Raw.__new__(Raw)
    raw.sock, raw.buffer = sock, rest
    return raw


def test_a_bomb_ends_in_1009():
    bombs = {extra: compressed(b" " * (LIMIT + extra)) for extra in (0, 1)}
    assert max(map(len, bombs.values())) < 10000
    with Server(ON, "pushca.pusher.shards=1") as server:
        with raw_client(server, "edge") as raw:
            raw.send(frame(TEXT, bombs[0], reserved=RSV1))
            raw.say("PING")
            assert raw.text() == "PONG"
        before = server.resident_bytes()
        for n in range(5):
            with raw_client(server, f"bomb{n}") as raw:
                raw.send(frame(TEXT, bombs[1], reserved=RSV1))
                assert raw.close_code() == 1009
        if not SANITIZED:  # a sanitizer keeps what was freed
            assert server.resident_bytes() - before < 8 << 20
        server.wait_for_metric("pushca_sockets", 0)
        assert server.metrics()[HELD] == 0


def test_many_bombs_stay_within_the_budget():
    bomb = compressed(b" " * (LIMIT - 1))
    budget = 64 << 20
    with Server(ON, "pushca.pusher.shards=1", "pushca.limits.memory-bytes=64MB") as server:
        bystander = raw_client(server, "bystander")
        raws = [raw_client(server, f"bomb{n}") for n in range(40)]
        for raw in raws:
            raw.send(frame(TEXT, bomb, final=False, reserved=RSV1))
        until = time.monotonic() + 30
        refused = 'pushca_refused_total{reason="memory"}'
        while server.metrics()[refused] < 30:
            assert time.monotonic() < until, server.metrics()[refused]
            time.sleep(0.05)
        assert server.metrics()["pushca_memory_held_bytes"] < budget + 2 * LIMIT
        codes = set()
        for raw in raws:
            raw.sock.settimeout(0.2)
            try:
                codes.add(raw.close_code(0.2))
            except (TimeoutError, socket.timeout):
                codes.add(None)
        assert 1013 in codes and codes <= {None, 1013}
        bystander.say("PING")
        assert bystander.text() == "PONG"
        for raw in (*raws, bystander):
            raw.sock.close()


def test_sockets_that_keep_nothing_hold_nothing():
    with Server(ON, "pushca.pusher.shards=1") as fresh:
        raws = [raw_client(fresh, f"idle{n}") for n in range(20)]
        for raw in raws:
            raw.send(frame(TEXT, compressed(b"PING"), reserved=RSV1))
            assert raw.text() == "PONG"
        assert fresh.metrics()[HELD] == 0
        assert fresh.metrics()[IN] == 20
        for raw in raws:
            raw.sock.close()


def test_a_kept_context_stays_within_its_bound():
    bound = 48 * 1024
    with Server(ON, *KEEP[:2], f"pushca.pusher.deflate.memory-bytes={bound}", "pushca.pusher.shards=1") as server:
        async def talk():
            sockets = [await client(server, identity(f"kept{n}", workSpaceId="kept")) for n in range(20)]
            await asyncio.get_running_loop().run_in_executor(
                None, lambda: server.post("/send-notification", {"filter": {"workSpaceId": "kept"}, "message": "again and " * 99}))
            for ws in sockets:
                assert await asyncio.wait_for(ws.recv(), 20) == "again and " * 99
                await ws.send("x1@@PING@@" + " " * 999)
            held = server.metrics()[HELD]
            for ws in sockets:
                await ws.close()
            return held

        held = asyncio.run(talk())
        assert 0 < held <= 20 * bound
        server.wait_for_metric("pushca_sockets", 0)
        assert server.metrics()[HELD] == 0

"""RFC 6455 to the letter: the conversations of ws_cases.py, handshakes, sizes, and receivers that take their time."""

import base64
import hashlib
import os
import select
import socket
import struct
import subprocess
import threading

import pytest

import ws_cases
from echo import ECHO, PATIENCE_S, Echo, Peer, handshake
from frames import BINARY, CLOSE, PING, PONG, TEXT, frame
from pushca import Server, identity, parse_answer
from ws_cases import CONTINUATION, MEBIBYTE, close, even, fragments

KIB = 1024


@pytest.fixture(scope="module")
def echo():
    with Echo() as running:
        yield running


@pytest.fixture(scope="module")
def pushca():
    """A server, and the target of a handshake with it."""
    with Server("pushca.limits.close-wait-ms=100") as running:
        yield running, "/" + running.open(identity("conformance")).rsplit("/", 1)[1]


def converse(peer, case, chop):
    """What comes is what the case wants, in order, and nothing else."""
    for octets, wanted in case.steps:
        peer.send(octets, chop)
        for one in wanted:
            got = peer.receive()
            assert got == one, (got, one)
    if case.code is None:
        peer.send(close(1000))
        peer.closes(1000)
    else:
        # The end comes whether or not the client answers the Close.
        peer.closes(case.code, b"" if chop else close(1000))


def named(cases):
    return [pytest.param(case, id=case.name) for case in cases]


@pytest.mark.parametrize("case", named(ws_cases.cases(ws_cases.Echo)))
def test_echo(echo, case):
    for chop in case.chops:
        with echo.peer() as peer:
            converse(peer, case, chop)


@pytest.mark.parametrize("case", named(ws_cases.cases(ws_cases.Pushca)))
def test_pushca(pushca, case):
    server, target = pushca
    for chop in case.chops:
        with Peer(server.ws, target) as peer:
            converse(peer, case, chop)


def test_the_list_is_long_and_says_nothing_twice():
    for dialect in (ws_cases.Echo, ws_cases.Pushca):
        names = [case.name for case in ws_cases.cases(dialect)]
        assert len(names) > 500 and len(names) == len(set(names))


# ---- 4.2: the opening handshake ----------------------------------------------------------------------

KEY = base64.b64encode(bytes(range(16))).decode()


def in_bytes(count, filler=b"x"):
    return base64.b64encode(filler * count).decode()


def request(octets, old, new):
    assert old in octets
    return octets.replace(old, new, 1)


HANDSHAKES = [
    ("as in the standard", handshake(Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZQ=="), 101),
    ("other cases", handshake(Connection="uPGRADE", Upgrade="WebSocket"), 101),
    ("names in other cases", request(handshake(), b"Sec-WebSocket-Key", b"sec-websocket-KEY"), 101),
    ("several tokens in Connection", handshake(Connection="keep-alive, Upgrade"), 101),
    ("several tokens without spaces", handshake(Connection="foo,upgrade,bar"), 101),
    ("empty members of lists", handshake(Connection=", ,Upgrade ,", Upgrade=",websocket,"), 101),
    ("Connection twice", handshake(Connection=["keep-alive", "Upgrade"]), 101),
    ("several protocols in Upgrade", handshake(Upgrade="h2c, websocket"), 101),
    ("spaces around values", handshake(Connection="  Upgrade \t", Sec_WebSocket_Version=" 13 "), 101),
    ("strange fields", handshake(X_Strange="a, b; c=\"d\"", Cookie="a=b", Origin="http://example.com"), 101),
    ("a length of zero", handshake(Content_Length="0"), 101),
    ("a subprotocol", handshake(Sec_WebSocket_Protocol="chat, superchat"), 101),
    ("extensions", handshake(Sec_WebSocket_Extensions="x-unknown; a=1, permessage-deflate; client_max_window_bits"), 101),
    ("extensions twice", handshake(Sec_WebSocket_Extensions=["x-unknown", "x-other; b"]), 101),
    ("no Upgrade", handshake(Upgrade=None), 426),
    ("another protocol", handshake(Upgrade="h2c"), 426),
    ("almost the protocol", handshake(Upgrade="websockets"), 426),
    ("no Connection", handshake(Connection=None), 426),
    ("no upgrade in Connection", handshake(Connection="keep-alive"), 426),
    ("almost an upgrade", handshake(Connection="upgraded"), 426),
    ("HTTP/1.0", request(handshake(), b"HTTP/1.1", b"HTTP/1.0"), 426),
    ("no version", handshake(Sec_WebSocket_Version=None), 426),
    ("version 8", handshake(Sec_WebSocket_Version="8"), 426),
    ("version 14", handshake(Sec_WebSocket_Version="14"), 426),
    ("version 013", handshake(Sec_WebSocket_Version="013"), 426),
    ("version 13.0", handshake(Sec_WebSocket_Version="13.0"), 426),
    ("versions 13 and 8 in one", handshake(Sec_WebSocket_Version="13, 8"), 426),
    ("an empty version", handshake(Sec_WebSocket_Version=""), 426),
    ("the version twice", handshake(Sec_WebSocket_Version=["13", "13"]), 400),
    ("no key", handshake(Sec_WebSocket_Key=None), 400),
    ("an empty key", handshake(Sec_WebSocket_Key=""), 400),
    ("the key twice", handshake(Sec_WebSocket_Key=[KEY, KEY]), 400),
    ("a key of 15", handshake(Sec_WebSocket_Key=in_bytes(15)), 400),
    ("a key of 17", handshake(Sec_WebSocket_Key=in_bytes(17)), 400),
    ("a key of 18", handshake(Sec_WebSocket_Key=in_bytes(18)), 400),
    ("a key without its end", handshake(Sec_WebSocket_Key=KEY[:-1]), 400),
    ("a key that is not base64", handshake(Sec_WebSocket_Key="!" + KEY[1:]), 400),
    ("a key for URLs", handshake(Sec_WebSocket_Key=in_bytes(16, b"\xff").replace("/", "_")), 400),
    ("a body", handshake(Content_Length="3") + b"abc", 400),
    ("a chunked body", handshake(Transfer_Encoding="chunked") + b"0\r\n\r\n", 400),
    ("no Host", handshake(Host=None), 400),
    ("Host twice", handshake(Host=["a", "a"]), 400),
    ("HTTP/2.0", request(handshake(), b"HTTP/1.1", b"HTTP/2.0"), 505),
    ("no HTTP", request(handshake(), b"HTTP/1.1", b"WEBS/1.1"), 400),
    ("a bare line feed", request(handshake(), b"\r\n", b"\n"), 400),
    ("a folded field", handshake() .replace(b"\r\n\r\n", b"\r\nX-Fold: a\r\n b\r\n\r\n"), 400),
    *((f"{method}", request(handshake(Content_Length="0"), b"GET", method.encode()), 405)
      for method in ("POST", "PUT", "DELETE", "PATCH")),
    ("an unknown method", request(handshake(), b"GET", b"GOT"), 501),
    ("a method in small letters", request(handshake(), b"GET", b"get"), 501),
]


def asked(address, octets):
    """The answer to a handshake and what follows it, and the socket."""
    sock = socket.create_connection(address, timeout=PATIENCE_S)
    sock.sendall(octets)
    got = b""
    while not (parsed := parse_answer(got)):
        more = sock.recv(65536)
        assert more, f"closed without an answer: {got!r}"
        got += more
    return *parsed, sock


@pytest.mark.parametrize("target", ["echo", "pushca"])
@pytest.mark.parametrize("octets, status", [pytest.param(o, s, id=name) for name, o, s in HANDSHAKES])
def test_handshake(echo, pushca, target, octets, status):
    server, path = pushca
    if target == "pushca":
        octets = request(octets, b" / ", f" {path} ".encode())
    answer, rest, sock = asked(server.ws if target == "pushca" else echo.address, octets)
    with sock:
        assert answer.status == status, answer
        if status == 101:
            key = next(line for line in octets.decode().split("\r\n") if line.lower().startswith("sec-websocket-key:"))
            told = hashlib.sha1((key.split(": ")[1] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
            assert answer.headers["sec-websocket-accept"] == base64.b64encode(told).decode()
            assert answer.headers["upgrade"].lower() == "websocket"
            assert answer.headers["connection"].lower() == "upgrade"
            assert "sec-websocket-protocol" not in answer.headers
            assert "sec-websocket-extensions" not in answer.headers
            assert rest == b""
        else:
            assert "sec-websocket-accept" not in answer.headers
        if status == 426:
            assert answer.headers["sec-websocket-version"] == "13"
            assert "websocket" in answer.headers["upgrade"].lower()
            assert "upgrade" in answer.headers["connection"].split(", "), "RFC 9110, 7.8"
        if status == 405:
            assert answer.headers["allow"] == "GET"


def test_frames_directly_behind_the_handshake(echo, pushca):
    server, path = pushca
    early = frame(TEXT, "one") + frame(PING, "two") + frame(TEXT, "three", final=False)
    with echo.peer(early=early) as peer:
        assert [peer.receive(), peer.receive()] == [(TEXT, b"one"), (PONG, b"two")]
        peer.send(frame(CONTINUATION, "four"))
        assert peer.receive() == (TEXT, b"threefour")
    with echo.peer(early=close(1000)) as peer:
        peer.closes(1000)
    with Peer(server.ws, path, early=frame(TEXT, "PING") + frame(PING, "two") + frame(TEXT, "PI", final=False)) as peer:
        assert [peer.receive(), peer.receive()] == [(TEXT, b"PONG"), (PONG, b"two")]
        peer.send(frame(CONTINUATION, "NG"))
        assert peer.receive() == (TEXT, b"PONG")
    with Peer(server.ws, path, early=frame(TEXT, b"\xff")) as peer:
        peer.closes(1007)


def test_a_handshake_octet_by_octet(echo):
    octets = handshake(Sec_WebSocket_Key=KEY) + frame(TEXT, "early")
    with socket.create_connection(echo.address, timeout=PATIENCE_S) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(len(octets)):
            sock.sendall(octets[at : at + 1])
        got = b""
        while not got.endswith(b"\x81\x05early"):
            more = sock.recv(65536)
            assert more, got
            got += more
    assert got.startswith(b"HTTP/1.1 101 ")


def test_a_refused_handshake_may_be_followed_by_a_good_one(echo):
    answer, _, sock = asked(echo.address, handshake(Sec_WebSocket_Version="8"))
    with sock:
        assert answer.status == 426
        sock.sendall(handshake())
        assert parse_answer(sock.recv(65536))[0].status == 101


# ---- limits, and the messages under them -------------------------------------------------------------

LIMIT = 100000


@pytest.fixture(scope="module")
def small_echo():
    with Echo(f"pushca.limits.message-bytes={LIMIT}", "pushca.limits.empty-fragments=0") as running:
        yield running


@pytest.mark.parametrize("kind", [TEXT, BINARY])
@pytest.mark.parametrize("piece", [0, 1000, 65536])
@pytest.mark.parametrize("over", [-1, 0, 1])
def test_message_limit(small_echo, kind, piece, over):
    payload = b"m" * (LIMIT + over)
    octets = fragments(kind, even(payload, piece)) if piece else frame(kind, payload)
    with small_echo.peer() as peer:
        peer.send(octets + frame(PING, "behind"))
        if over > 0:
            peer.closes(1009)
        else:
            assert peer.receive() == (kind, payload)
            assert peer.receive() == (PONG, b"behind")


def test_the_limit_is_per_message(small_echo):
    with small_echo.peer() as peer:
        for _ in range(3):
            peer.send(frame(TEXT, b"a" * LIMIT))
            assert peer.receive() == (TEXT, b"a" * LIMIT)


def test_what_is_too_big_is_refused_unread_and_without_a_reset(echo):
    with echo.peer() as peer:
        peer.send(frame(BINARY, length=16 * MEBIBYTE + 1))
        peer.send(bytes(MEBIBYTE))
        peer.closes(1009)
        peer.send(bytes(1000))


def test_an_empty_fragment_over_the_limit(small_echo):
    with small_echo.peer() as peer:
        peer.send(frame(TEXT, "a", final=False) + frame(CONTINUATION, "b", final=False) + frame(CONTINUATION))
        assert peer.receive() == (TEXT, b"ab")
        peer.send(frame(TEXT, "", final=False))
        peer.closes(1008)


# ---- sizes and numbers -------------------------------------------------------------------------------


def pattern(kind, size):
    return ("ä…€ Ω\u0007 " * (size // 15 + 1)).encode()[:size].decode(errors="ignore").encode() if kind == TEXT else (
        bytes(range(256)) * (size // 256 + 1)
    )[:size]


@pytest.mark.parametrize("kind", [TEXT, BINARY])
@pytest.mark.parametrize("size", [64 * KIB, 256 * KIB, MEBIBYTE, 4 * MEBIBYTE, 8 * MEBIBYTE, 16 * MEBIBYTE])
def test_large_messages(echo, kind, size):
    payload = pattern(kind, size)
    with echo.peer() as peer:
        peer.send(frame(kind, payload))
        assert peer.receive() == (kind, payload)


@pytest.mark.parametrize("kind", [TEXT, BINARY])
@pytest.mark.parametrize("piece", [64, 256, 1000, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MEBIBYTE])
def test_large_messages_in_fragments(echo, kind, piece):
    payload = pattern(kind, MEBIBYTE if piece == 64 else 4 * MEBIBYTE)
    # Masked by nothing: what costs the time here is the building of frames.
    parts = even(payload, piece)
    heads = [frame(kind if i == 0 else 0, final=i == len(parts) - 1, length=len(part), mask=b"\0\0\0\0")
             for i, part in enumerate(parts[:2])] + [frame(0, length=len(parts[-1]), mask=b"\0\0\0\0")]
    middle = frame(0, final=False, length=piece, mask=b"\0\0\0\0")
    octets = b"".join([heads[0], parts[0], *(one for part in parts[1:-1] for one in (middle, part)), heads[-1], parts[-1]])
    with echo.peer() as peer:
        peer.send(octets)
        assert peer.receive() == (kind, payload)


@pytest.mark.parametrize("kind", [TEXT, BINARY])
@pytest.mark.parametrize("chop", [64, 509, 2048])
def test_a_mebibyte_in_pieces(echo, kind, chop):
    payload = pattern(kind, MEBIBYTE)
    with echo.peer() as peer:
        peer.send(frame(kind, payload), chop)
        assert peer.receive() == (kind, payload)


def test_pings_beside_a_message_that_arrives_slowly(echo):
    """Between two fragments of 2,048 octets a ping, and on with the next one when it was answered."""
    payload = pattern(BINARY, MEBIBYTE)
    parts = even(payload, 2048)
    with echo.peer() as peer:
        for i, part in enumerate(parts):
            octets = frame(BINARY if i == 0 else 0, part, final=i == len(parts) - 1)
            peer.send(frame(PING, f"{i}") + octets)
            assert peer.receive() == (PONG, b"%d" % i)
        assert peer.receive() == (BINARY, payload)


def test_many_pings_and_pongs_at_once(echo):
    """As fast as they come: a suite does not know Pushca's limit on them."""
    with echo.peer() as peer:
        writer = threading.Thread(target=peer.send, args=((frame(PING, "p") + frame(PONG, "q")) * 10000 + frame(TEXT, "end"),))
        writer.start()
        for _ in range(10000):
            assert peer.receive() == (PONG, b"p")
        assert peer.receive() == (TEXT, b"end")
        writer.join()


@pytest.mark.parametrize("limit, from_file, from_environment, sets", [
    (16 * MEBIBYTE, None, None, ()),  # its own default, not the server's
    (300, 300, None, ()), (200, 300, 200, ()), (100, 300, 200, ("pushca.limits.message-bytes=100",)),
    (200, None, 200, ("pushca.limits.pings=5",)),
])
def test_ws_echo_takes_its_limits_from_where_the_server_does(tmp_path, limit, from_file, from_environment, sets):
    path = tmp_path / "echo.yaml"
    path.write_text(f"pushca.limits.message-bytes: {from_file}\n", encoding="ascii")
    environment = {"PUSHCA_LIMITS_MESSAGE_BYTES": str(from_environment or "")}
    with Echo(*sets, config=path if from_file else None, environment=environment) as echo, echo.peer() as peer:
        peer.send(frame(TEXT, b"m" * limit))
        assert peer.receive() == (TEXT, b"m" * limit)
        peer.send(frame(TEXT, b"m" * (limit + 1)))
        peer.closes(1009)


def test_ws_echo_refuses_what_is_wrong_where_it_stands():
    got = subprocess.run([ECHO, "--port", "0"], env={**os.environ, "PUSHCA_LIMITS_MESSAGE_BYTES": "many"}, capture_output=True,
                         text=True, timeout=PATIENCE_S, check=False)
    assert got.returncode == 1 and got.stderr.startswith("environment PUSHCA_LIMITS_MESSAGE_BYTES: pushca.limits.message-bytes: expected ")


def test_ws_echo_counts_pings_when_asked_to():
    with Echo("pushca.limits.pings=10") as echo, echo.peer() as peer:
        for _ in range(10):
            peer.send(frame(PING, "p"))
            assert peer.receive() == (PONG, b"p")
        peer.send(frame(PING, "p") * 100)
        peer.closes(1008)


@pytest.mark.parametrize("kind", [TEXT, BINARY])
@pytest.mark.parametrize("size", [0, 16, 64, 256, 1024, 4096])
def test_many_messages_one_after_the_other(echo, kind, size):
    payload = pattern(kind, size)
    octets = frame(kind, payload)
    with echo.peer() as peer:
        for _ in range(1000):
            peer.send(octets)
            assert peer.receive() == (kind, payload)


@pytest.mark.parametrize("piece", [0, 13])
def test_many_messages_at_once(echo, piece):
    texts = [f"{i} ".encode() * (i % 50 + 1) for i in range(5000)]
    octets = b"".join(fragments(TEXT, even(text, piece)) if piece else frame(TEXT, text) for text in texts)
    with echo.peer() as peer:
        writer = threading.Thread(target=peer.send, args=(octets + close(1000),))
        writer.start()
        for text in texts:
            assert peer.receive() == (TEXT, text)
        writer.join()
        peer.closes(1000)


# ---- a receiver that does not read -------------------------------------------------------------------


def stuff(peer, octets):
    """Sends until nothing more is taken, reads nothing; how much was sent."""
    peer.sock.setblocking(False)
    sent = 0
    while sent < len(octets) and select.select([], [peer.sock], [], 0.3)[1]:
        sent += peer.sock.send(octets[sent : sent + (1 << 18)])
    peer.sock.settimeout(PATIENCE_S)
    return sent


@pytest.mark.parametrize("size, count", [(64 * KIB, 1000), (100, 200000), (MEBIBYTE, 20)])
def test_nothing_is_lost_while_the_peer_does_not_read(echo, size, count):
    """The server stops reading, so the sender stops; when it reads, all of it comes back."""
    texts = [(b"%d " % i).ljust(size, b"t") for i in range(count)]
    if size == 100:
        octets = b"".join(frame(TEXT, text, mask=b"mask") for text in texts[:100]) * (count // 100)
        texts = texts[:100] * (count // 100)
    else:
        octets = b"".join(frame(TEXT, text, mask=b"mask") for text in texts)
    octets += close(1000)
    with echo.peer() as peer:
        sent = stuff(peer, octets)
        assert sent < len(octets), "the server takes whatever comes"
        writer = threading.Thread(target=peer.send, args=(octets[sent:],))
        writer.start()
        for text in texts:
            assert peer.receive() == (TEXT, text)
        peer.closes(1000)
        writer.join()


@pytest.mark.parametrize("small", [1, 40, 50, 60])
def test_small_and_large_messages_and_pings_before_the_first_read(echo, small):
    """What waits, and how much, is no reason to drop a large message, nor what comes behind it."""
    large = pattern(BINARY, 3 * MEBIBYTE)
    octets = frame(TEXT, b"s" * 1000) * small + frame(BINARY, large) + frame(PING, "still there") + close(4000)
    with echo.peer(holds=4096) as peer:
        sent = stuff(peer, octets)
        writer = threading.Thread(target=peer.send, args=(octets[sent:],))
        writer.start()
        for _ in range(small):
            assert peer.receive() == (TEXT, b"s" * 1000)
        assert peer.receive() == (BINARY, large)
        assert peer.receive() == (PONG, b"still there")
        writer.join()
        peer.closes(4000)


# ---- the end from the other side ---------------------------------------------------------------------


def test_ws_echo_goes_away_politely():
    with Echo() as echo:
        peers = [echo.peer() for _ in range(3)]
        peers[0].send(frame(TEXT, "half", final=False))
        echo.process.terminate()
        for i, peer in enumerate(peers):
            with peer:
                assert peer.receive() == (CLOSE, struct.pack(">H", 1001))
                if i == 1:
                    peer.send(frame(TEXT, "crossing") + frame(PING, "crossing") + close(1001))
                if i < 2:
                    assert peer.receive() is None, "nothing behind a Close"
                # the last one just goes


def test_ws_echo_pings_only_when_asked():
    with Echo("pushca.pusher.ping-interval-ms=1000", "pushca.pusher.pong-wait-ms=1000") as echo, echo.peer() as peer:
        assert peer.receive() == (PING, b"")
        peer.send(frame(PONG))
        assert peer.receive() == (PING, b"")

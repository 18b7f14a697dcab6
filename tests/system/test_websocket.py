"""The WebSocket door and what is said through it: handshakes, frames, limits, commands."""

import base64
import hashlib
import hmac
import json
import select
import struct
import time

import pytest

from frames import BINARY, CLOSE, PING, PONG, TEXT, Raw, frame
from pushca import Server, identity, wait_for

pytestmark = pytest.mark.tsan

SECRET = "0123456789abcdef0123456789abcdef-secret"


@pytest.fixture(scope="module")
def server():
    with Server(f"pushca.coordinator.secret-key={SECRET}") as running:
        yield running


def token_of(server, who=None):
    return server.open(who).rsplit("/", 1)[1]


# ---- handshake --------------------------------------------------------------------------------------


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(claims, secret=SECRET, algorithm="HS256"):
    head = encode(json.dumps({"alg": algorithm, "typ": "JWT"}).encode())
    body = encode(json.dumps(claims).encode())
    digest = {"HS256": hashlib.sha256, "HS512": hashlib.sha512}.get(algorithm)
    mark = encode(hmac.new(secret.encode(), f"{head}.{body}".encode(), digest).digest()) if digest else ""
    return f"{head}.{body}.{mark}"


def claims(**overrides):
    now = int(time.time())
    return {**identity(), "iat": now, "exp": now + 60, "jti": "x", **overrides}


def test_a_token_opens_and_opens_again(server):
    token = token_of(server)
    for _ in range(2):
        wait_for(lambda: server.try_handshake("/" + token).status == 101)  # the last of it is given back by and by
    assert server.try_handshake("/" + signed(claims())).status == 101


def bad_tokens(token):
    head, body, mark = token.split(".")
    yield "none", signed(claims(), algorithm="none")
    yield "expired", signed(claims(exp=int(time.time()) - 1))
    yield "foreign", signed(claims(), secret="another secret of thirty-two bytes or so")
    yield "other algorithm", signed(claims(), algorithm="HS512")
    yield "no exp", signed({k: v for k, v in claims().items() if k != "exp"})
    yield "no account", signed({k: v for k, v in claims().items() if k != "accountId"})
    yield "empty account", signed(claims(accountId=""))
    yield "number", signed(claims(accountId=7))
    yield "tampered claims", f"{head}.{encode(json.dumps(claims()).encode())}.{mark}"
    yield "no signature", f"{head}.{body}."
    yield "two parts", f"{head}.{body}"
    yield "empty", ""
    yield "garbage", "garbage"
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for letter in alphabet:
        if letter != token[-1]:
            yield f"last letter {letter}", token[:-1] + letter


def test_bad_tokens_are_401(server):
    for what, token in bad_tokens(token_of(server)):
        answer = server.try_handshake("/" + token)
        assert answer.status == 401, (what, answer)
        assert answer.json["status"] == 401, what


@pytest.mark.parametrize(
    "fields, status",
    [
        ({"version": "8"}, 426),
        ({"version": None}, 426),
        ({"Upgrade": None}, 426),
        ({"Upgrade": "h2c"}, 426),
        ({"Connection": "keep-alive"}, 426),
        ({"Sec_WebSocket_Key": None}, 400),
        ({"Sec_WebSocket_Key": "short"}, 400),
        ({"Sec_WebSocket_Key": base64.b64encode(b"x" * 17).decode()}, 400),
        ({"Host": None}, 400),
        ({"method": "POST", "Content_Length": "0"}, 405),
    ],
)
def test_bad_handshakes_are_told(server, fields, status):
    fields = {name.replace("_", "-"): value for name, value in fields.items()}
    answer = server.try_handshake("/" + token_of(server), **fields)
    assert answer.status == status, answer
    if status == 426:
        assert answer.headers["sec-websocket-version"] == "13"
        assert answer.headers["upgrade"].lower() == "websocket"


def test_origin():
    with Server("pushca.pusher.allowed-origins=https://good.example") as server:
        path = "/" + token_of(server)
        assert server.try_handshake(path, Origin="https://good.example").status == 101
        assert server.try_handshake(path).status == 101
        assert server.try_handshake(path, Origin="https://evil.example").status == 403


def test_socket_limit():
    with Server("pushca.pusher.socket-pool-size=3") as server:
        token = token_of(server)
        open_ones = []
        for expected in (101, 101, 101, 503):
            answer, sock, _ = server.handshake("/" + token)
            assert answer.status == expected
            open_ones.append(sock)
        refused = server.post("/open-connection", {"client": identity()})
        assert refused.status == 429 and int(refused.headers["retry-after"]) >= 1
        assert server.metrics()["pushca_sockets"] == 3
        for sock in open_ones:
            sock.close()
        server.wait_for_metric("pushca_sockets", 0)
        assert server.try_handshake("/" + token).status == 101


def test_sign_in(server):
    asked = {"client": identity(), "pusherInstanceId": None, "apiKey": None}
    answer, sock, rest = server.handshake("/sign-in/" + encode(json.dumps(asked).encode()))
    assert answer.status == 101
    socket = Raw.__new__(Raw)
    socket.sock, socket.buffer = sock, rest
    opened = json.loads(socket.text())
    assert socket.close_code() == 1000
    sock.close()
    assert server.try_handshake("/" + opened["browserAdvertisedUrl"].rsplit("/", 1)[1]).status == 101
    assert server.try_handshake("/sign-in/" + encode(b'{"client":{}}')).status == 400
    assert server.try_handshake("/sign-in/@@@").status == 400


def test_a_refresh_answer_used_as_token(server):
    """One published client stores the whole answer and reconnects with it."""
    path = "/%7B%22body%22:%22" + token_of(server) + "%22%7D"
    assert server.try_handshake(path).status == 101


def test_first_frame_behind_the_request(server):
    with Raw(server) as plain:
        plain.say("PING")
        assert plain.text() == "PONG"
    token = token_of(server)
    answer, sock, rest = server.handshake(f"/{token}", Cookie="x")
    assert answer.status == 101
    sock.close()


# ---- frames -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data, code",
    [
        (frame(TEXT, "x", masked=False), 1002),
        (frame(TEXT, "x", reserved=4), 1002),
        (frame(3, "x"), 1002),
        (frame(11, "x"), 1002),
        (frame(PING, "x" * 126), 1002),
        (frame(PING, "x", final=False), 1002),
        (frame(0, "x"), 1002),
        (frame(TEXT, "x", final=False) + frame(TEXT, "y"), 1002),
        (frame(CLOSE, b"\x03"), 1002),
        (frame(CLOSE, b"\x03\xed"), 1002),
        (frame(TEXT, b"\xff"), 1007),
        (frame(TEXT, b"\xc3", final=False) + frame(0, b"x"), 1007),
        (frame(TEXT, b"\xed\xa0\x80"), 1007),
        (frame(BINARY, b"x"), 1003),
        (frame(CLOSE, b"\x03\xe8bye"), 1000),
        (frame(CLOSE), 1005),
    ],
)
def test_violations_have_their_code(server, data, code):
    with Raw(server) as raw:
        raw.send(data)
        assert raw.close_code() == code


def test_ping_is_answered_between_fragments(server):
    with Raw(server) as raw:
        raw.send(frame(TEXT, '{"comm', final=False) + frame(PING, "are you there"))
        assert raw.receive() == (PONG, b"are you there")
        raw.send(frame(0, 'and":"PING"}'))
        assert raw.text() == "PONG"


def test_any_split_is_the_same(server):
    data = frame(TEXT, 'id-1@@PING') + frame(PING, "p") + frame(TEXT, '{"command":"PING"}')
    with Raw(server) as raw:
        for i in range(len(data)):
            raw.send(data[i : i + 1])
            time.sleep(0.001)
        assert raw.text() == "PONG"
        assert raw.receive() == (PONG, b"p")
        assert raw.text() == "PONG"


@pytest.mark.parametrize("piece", [64, 4096, None])
def test_a_mebibyte_and_26_bytes_pass(server, piece):
    who = identity(f"big-{piece}")
    head = json.dumps({"command": "SEND_MESSAGE", "metaData": {"filter": who, "message": ""}})
    text = head[:-3] + "m" * (1048602 - len(head)) + head[-3:]
    assert len(text) == 1048602
    payload = text.encode()
    with Raw(server, who) as raw:
        if piece is None:
            raw.send(frame(TEXT, payload))
        else:
            parts = [payload[i : i + piece] for i in range(0, len(payload), piece)]
            data = b"".join(
                frame(TEXT if i == 0 else 0, part, final=i == len(parts) - 1) for i, part in enumerate(parts)
            )
            raw.send(data)
        assert raw.text() == "m" * (1048602 - len(head))


@pytest.mark.parametrize("over, piece", [(-1, None), (0, None), (1, None), (-1, 999), (0, 999), (1, 999)])
def test_message_limit(over, piece):
    limit = 10000
    with Server(f"pushca.limits.message-bytes={limit}") as server, Raw(server) as raw:
        payload = b"x" * (limit + over)
        if piece is None:
            raw.send(frame(TEXT, payload))
        else:
            raw.send(frame(TEXT, b"", final=False))
            raw.send(b"".join(frame(0, payload[i : i + piece], final=False) for i in range(0, len(payload), piece)))
            raw.send(frame(0))
        if over > 0:
            assert raw.close_code() == 1009
        else:
            raw.say("PING")
            assert raw.text() == "PONG"


def test_an_announced_giant_is_refused_before_it_arrives(server):
    with Raw(server) as raw:
        raw.send(frame(TEXT, b"", length=8 * 1024 * 1024 + 1))
        assert raw.close_code() == 1009


@pytest.mark.parametrize("count, fine", [(63, True), (64, True), (65, False)])
def test_empty_fragments(server, count, fine):
    with Raw(server) as raw:
        raw.send(frame(TEXT, "PI", final=False) + frame(0, b"", final=False) * count)
        if fine:
            raw.send(frame(0, "NG"))
            assert raw.text() == "PONG"
        else:
            assert raw.close_code() == 1008


# ---- commands -----------------------------------------------------------------------------------------


def nest(depth):
    """A v2 command whose metaData is `depth` levels deep."""
    return 'd@@SEND_MESSAGE@@{"filter":{"deviceId":"nobody"},"message":"x","extra":' + "[" * (depth - 1) + "]" * (
        depth - 1
    ) + "}"


@pytest.mark.parametrize("depth, fine", [(63, True), (64, True), (65, False)])
def test_json_depth(server, depth, fine):
    with Raw(server) as raw:
        raw.say(nest(depth))
        answer = raw.text()
        assert (answer == "d@@RESPONSE") == fine, answer
        if not fine:
            assert "error" in json.loads(answer.split("@@", 2)[2])


@pytest.mark.parametrize("length, fine", [(255, True), (256, True), (257, False)])
def test_dimension_length(server, length, fine):
    with Raw(server) as raw:
        raw.say("l@@SEND_MESSAGE@@" + json.dumps({"filter": {"accountId": "a" * length}, "message": "x"}))
        assert (raw.text() == "l@@RESPONSE") == fine


@pytest.mark.parametrize("count, fine", [(999, True), (1000, True), (1001, False)])
def test_exclude_length(server, count, fine):
    with Raw(server) as raw:
        body = {"filter": {"accountId": "nobody", "exclude": [identity(i) for i in range(count)]}, "message": "x"}
        raw.say("l@@SEND_MESSAGE@@" + json.dumps(body))
        assert (raw.text() == "l@@RESPONSE") == fine


@pytest.mark.parametrize(
    "meta",
    [
        '{"filter":{},"message":"a","message":"b"}',
        '{"filter":{},"message":"a"} ',
        '{"filter":{},"message":"a"}x',
        '{"filter":{},"message":7}',
        '{"filter":{},"message":"\\ud800"}',
        '{"filter":{},"message":"\\udc00x"}',
        '{"filter":{"accountId":"a\\u0000b"},"message":"x"}',
        '{"filter":{"accountId":"a\\nb"},"message":"x"}',
        '{"filter":{"findAny":"yes"},"message":"x"}',
        '{"filter":[],"message":"x"}',
        '{"message":"x"}',
        '{"filter":{}}',
        "[]",
        "7",
        '{"filter":{"exclude":[{"accountId":"a"}]},"message":"x"}',
    ],
)
def test_what_is_wrong_gets_an_error(server, meta):
    with Raw(server) as raw:
        raw.say("e-1@@SEND_MESSAGE@@" + meta)
        answer = raw.text()
        if meta.endswith(" "):
            assert answer in ("e-1@@RESPONSE", "a")
        else:
            assert answer.startswith("e-1@@RESPONSE@@"), answer
            assert json.loads(answer.split("@@", 2)[2])["error"]


def test_envelopes_and_tokens(server):
    who = identity("envelopes")
    with Raw(server, who) as raw:
        items = [{"client": who, "message": "one"}, {"client": who, "message": "two"}]
        raw.say("s@@SEND_ENVELOPES@@" + json.dumps({"envelopes": items}))
        assert [raw.text() for _ in range(3)] == ["one", "two", "s@@RESPONSE"]
        raw.say("t@@REFRESH_TOKEN")
        first = raw.text()
        raw.say("t@@REFRESH_TOKEN")
        assert raw.text() == first
        token = json.loads(first.split("@@", 2)[2])["body"]
        assert server.try_handshake("/" + token).status == 101
        raw.say('{"command":"REFRESH_TOKEN","metaData":null}')
        word, token = raw.text().split("@@")
        assert word == "TOKEN"
        assert server.try_handshake("/" + token).status == 101


def test_no_answer_contains_a_second_delimiter(server):
    with Raw(server) as raw:
        raw.say("q@@NO@@SUCH@@{}")
        assert raw.text().count("@@") == 2


# ---- life ---------------------------------------------------------------------------------------------


def test_pings_find_dead_peers_and_leave_silent_ones():
    with Server("pushca.pusher.ping-interval-ms=1000", "pushca.pusher.pong-wait-ms=1000") as server:
        with Raw(server, identity("silent")) as silent, Raw(server, identity("dead")):
            until = time.monotonic() + 4
            pings = 0
            while time.monotonic() < until:
                try:
                    got = silent.receive(0.2)
                except TimeoutError:
                    continue
                assert got[0] == PING
                silent.send(frame(PONG, got[1]))
                pings += 1
            assert pings >= 2
            server.wait_for_metric("pushca_sockets", 1)
            silent.say("PING")
            while (got := silent.receive())[0] == PING:
                silent.send(frame(PONG, got[1]))
            assert got == (TEXT, b"PONG")


def test_a_slow_receiver_costs_only_itself():
    """Ten megabytes for one that does not read: it is closed, the other one gets all, memory stays."""
    with Server("pushca.limits.stall-ms=2000") as server:
        slow, fast = identity("slow"), identity("fast")
        with Raw(server, slow) as stuck, Raw(server, fast) as well:
            text = "x" * 100000
            for i in range(100):
                body = {"filter": {"workSpaceId": "workSpaceMain"}, "message": f"{i} {text}"}
                assert server.post("/send-notification", body).status == 200
                assert well.text() == f"{i} {text}"
            server.wait_for_metric('pushca_sockets_closed_total{reason="slow"}', 1)
            assert stuck.close_code() == 1013


def test_drain_says_goodbye():
    server = Server()
    with Raw(server) as raw:
        server.process.send_signal(15)
        assert raw.close_code() == 1001
    assert server.stop() == 0
    assert "stopped" in server.log()


@pytest.mark.parametrize("signals", [1, 2])
def test_drain_cuts_who_does_not_read(signals):
    """Its queue never empties, so it neither says Close nor takes ours; a second signal does not wait for it."""
    server = Server("pushca.drain-ms=1500" if signals == 1 else "pushca.drain-ms=600000")
    with Raw(server, identity("slow")):
        for _ in range(2):
            body = {"filter": identity("slow"), "message": "x" * 1000000}
            assert server.post("/send-notification", body).status == 200
        server.process.send_signal(15)
        if signals == 2:
            time.sleep(1.5)  # past pushca.limits.close-wait-ms: the connection only flushes by now
            server.process.send_signal(15)
        assert server.stop() == 0, server.log()
    assert "drain cut" in server.log()


def test_the_memory_budget_bounds_messages_on_their_way():
    """Each of them is under its own limit; together they would be five times the budget."""
    with Server("pushca.limits.memory-bytes=64MB") as server:
        crowd = [Raw(server, identity(str(number))) for number in range(40)]
        for one in crowd:
            try:
                one.send(frame(TEXT, b"a" * (7 << 20), final=False))
            except ConnectionError:
                pass  # it was refused meanwhile
        metrics = server.metrics()
        assert metrics["pushca_memory_held_bytes"] < 80 << 20
        assert metrics['pushca_refused_total{reason="memory"}'] > 20
        told = []
        for one in crowd:
            try:
                if select.select([one.sock], [], [], 0)[0]:
                    told.append(one.receive())
            except ConnectionError:
                pass
        assert (CLOSE, struct.pack(">H", 1013) + b"the memory budget is used up") in told
        for one in crowd:
            one.sock.close()
        server.wait_for_metric("pushca_sockets", 0)
        with Raw(server) as talker:
            talker.say("PING")
            assert talker.text() == "PONG"


def test_the_memory_budget_refuses_new_work_and_forgives():
    """A receiver that takes nothing may hold a lot here: past the budget new work is refused, what is there goes on."""
    with Server(
        "pushca.limits.memory-bytes=64MB", "pushca.limits.queue-bytes=256MB", "pushca.limits.stall-ms=60000"
    ) as server:
        token = token_of(server)
        who = identity("stuck")
        small = {"filter": identity("nobody"), "message": "x"}
        with Raw(server) as talker:
            with Raw(server, who):
                accepted = 0
                for size in (1000000, 50000, 2000, 1):  # ever smaller, as a request's own body counts too
                    while (answer := server.post("/send-notification", {"filter": who, "message": "x" * size})).status == 200:
                        accepted += size
                        assert accepted < 70000000
                    assert answer.status in (429, 503)  # 503: while its body was still arriving
                assert accepted > 55000000
                # A command costs less on its way than a request: what refuses it refuses everything.
                answers = []
                while len(answers) < 5000 and not (answers and "error" in answers[-1]):
                    talker.say(f"{len(answers)}@@SEND_MESSAGE@@" + json.dumps({"filter": who, "message": "y"}))
                    answers.append(talker.text())
                assert "memory" in json.loads(answers[-1].split("@@", 2)[2])["error"]
                answer = server.post("/send-notification", small)
                assert answer.status == 429 and "memory" in answer.json["message"]
                assert int(answer.headers["retry-after"]) >= 1
                assert server.post("/open-connection", {"client": identity()}).status == 429
                assert server.try_handshake("/" + token).status == 503
                talker.say("PING")
                assert talker.text() == "PONG"
            server.wait_for_metric("pushca_sockets", 1)
            wait_for(lambda: server.post("/send-notification", small).status == 200)  # what was held is freed by and by
            wait_for(lambda: server.try_handshake("/" + token).status == 101)

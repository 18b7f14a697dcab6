"""HTTP/1.1 to the letter: the cases of http_cases.py against the running server, whole and in pieces."""

import os
import random
import socket
import time

import pytest

from frames import Raw
from http_cases import BODY, CASES, CHUNKED, HOST, JSON, LENGTH, LISTENER, LIVE, SMUGGLED, chunks, get, notification, post, with_length
from pushca import Server, parse_answer

AT_ONCE = 60  # connections
SMALL = 1000  # octets that are sent one by one
SEED = int(os.environ.get("PUSHCA_TEST_SEED", "0")) or random.randrange(1, 2**32)


@pytest.fixture(scope="module", name="server")
def make_server():
    with Server("pushca.limits.http-connections=200", "pushca.limits.linger-ms=20000", "pushca.pusher.ping-interval-ms=600000") as server:
        yield server


# -- ways to send ------------------------------------------------------------------------------------------


def in_one_piece(octets):
    return [octets]


def byte_by_byte(octets):
    """But a request that only stands behind the others comes whole."""
    first, found, last = octets.rpartition(SMUGGLED)
    if not found or last:
        first, found = octets, b""
    if len(first) > SMALL:
        return in_pieces(octets)
    return [first[i:i + 1] for i in range(len(first))] + [found] * bool(found)


def in_pieces(octets):
    dice = random.Random(SEED)
    pieces = []
    most = max(30, len(octets) // 10)
    while octets:
        length = dice.randint(1, most)
        pieces.append(octets[:length])
        octets = octets[length:]
    return pieces


WAYS = {"whole": in_one_piece, "byte by byte": byte_by_byte, "in pieces": in_pieces}


class Talk:
    """One connection: a case's octets, then a request that must be answered if and only if the case stays."""

    def __init__(self, address, case, way):
        self.case = case
        self.last_words = f"behind {case.name} {way}"
        self.pieces = WAYS[way](case.octets)
        if not case.fin:
            self.pieces = [*self.pieces, with_length(notification(self.last_words, LISTENER), b"Connection: close\r\n")]
        self.sock = socket.create_connection(address, timeout=30)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.got = b""
        self.answers = []

    def send_one(self):
        """False: there is no more."""
        if self.pieces:
            self.sock.sendall(self.pieces.pop(0))
        if not self.pieces and self.case.fin:
            self.sock.shutdown(socket.SHUT_WR)
        return bool(self.pieces)

    def read_to_end(self):
        with self.sock:
            while more := self.sock.recv(65536):
                self.got += more
        rest, finals = self.got, 0
        while parsed := parse_answer(rest, finals in self.case.heads):
            answer, rest = parsed
            if answer.status >= 200:
                self.answers.append(answer)
                finals += 1
        assert rest == b"", f"{self.case.name}: {rest!r} behind the answers"


def talk_about(address, cases, way):
    """Many connections side by side, a piece to each in turn, so that the server sees the pieces apart."""
    done = []
    for start in range(0, len(cases), AT_ONCE):
        talks = [Talk(address, case, way) for case in cases[start:start + AT_ONCE]]
        busy = talks
        while busy:
            busy = [talk for talk in busy if talk.send_one()]
        for talk in talks:
            talk.read_to_end()
        done += talks
    return done


@pytest.fixture(scope="module", name="heard")
def talk_in_all_ways(server):
    """(case name, way) -> Talk; and the texts that a listening client got meanwhile."""
    with Raw(server, LISTENER) as listener:
        talks = {(talk.case.name, way): talk for way in WAYS for talk in talk_about(server.rest, CASES, way)}
        assert server.post("/send-notification", {"filter": LISTENER, "message": "the end"}).status == 200
        texts = []
        while not texts or texts[-1] != "the end":
            texts.append(listener.receive()[1].decode())
    return talks, texts


# -- all cases ----------------------------------------------------------------------------------------------


def test_every_case_has_a_name_of_its_own():
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names), [name for name in names if names.count(name) > 1]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(heard, case):
    talks, texts = heard
    wanted = case.answers + [200] * case.stays
    for way in WAYS:
        talk = talks[case.name, way]
        assert [answer.status for answer in talk.answers] == wanted, f"{way}, seed {SEED}: {talk.got[:2000]!r}"
        assert texts.count(talk.last_words) == int(case.stays), way
        for answer in talk.answers:
            assert "date" in answer.headers
            assert answer.headers["content-length"].isdigit()
        if not case.stays and not case.fin:
            assert talk.answers[-1].headers["connection"] == "close"


def test_nothing_smuggled_was_carried_out(heard):
    talks, texts = heard
    assert "smuggled" not in texts
    assert len(texts) == 1 + sum(talk.case.stays for talk in talks.values())


def test_the_websocket_port_refuses_the_same(server):
    """A bad request is bad on either port. What is good on one is at least answered once on the other, and ends."""
    with Raw(server, LISTENER) as listener:
        for talk in talk_about(server.ws, CASES, "whole"):
            case = talk.case
            statuses = [answer.status for answer in talk.answers]
            if len(case.answers) == 1 and not case.stays and case.answers[0] in (400, 414, 417, 431, 501, 505):
                assert statuses == case.answers, case.name
            elif case.answers:
                assert len(statuses) == 1 and statuses[0] in (400, 401, 405, 413, 426), (case.name, statuses)
            else:
                assert statuses == [], case.name
        assert server.post("/send-notification", {"filter": LISTENER, "message": "the end"}).status == 200
        assert listener.receive()[1] == b"the end"


# -- one at a time ------------------------------------------------------------------------------------------


def connect(server):
    return socket.create_connection(server.rest, timeout=30)


def read_until(sock, end, got=b""):
    while end not in got:
        more = sock.recv(65536)
        assert more, got
        got += more
    return got


CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
EXPECT = b"Expect: 100-continue\r\n"


@pytest.mark.parametrize("head, body", [
    (post(LENGTH + EXPECT), BODY),
    (post(CHUNKED + EXPECT), chunks(BODY)),
    (post(b"X: y\r\n" + LENGTH + b"expect:100-CONTINUE\r\n"), BODY),
], ids=["length", "chunked", "other case"])
def test_who_expects_100_gets_it_once_before_the_body(server, head, body):
    with connect(server) as sock:
        for _ in range(2):
            sock.sendall(head)
            assert read_until(sock, b"\r\n\r\n") == CONTINUE
            sock.sendall(body[:3])
            sock.sendall(body[3:])
            answer, rest = parse_answer(read_until(sock, b"\r\n\r\n"))
            assert (answer.status, rest) == (200, b"")


@pytest.mark.parametrize("octets, status", [
    (post(LENGTH + EXPECT) + BODY, 200),
    (post(b"Content-Length: 1048577\r\n" + EXPECT), 413),
    (post(b"Content-Length: 0\r\n" + EXPECT), 400),
    (post(EXPECT), 411),
    (get(b"/nothing", EXPECT), 404),
    (get(b"/", LENGTH + EXPECT, b"BREW"), 501),
    (post(LENGTH + CHUNKED + EXPECT), 400),
    (post(LENGTH + b"Expect: more\r\n"), 417),
], ids=["body there", "too long", "empty", "no length", "no body", "method", "both", "other"])
def test_no_100_where_it_would_mean_nothing(server, octets, status):
    answers, rest = server.raw(octets)
    assert ([answer.status for answer in answers], rest) == ([status], b"")


def test_no_100_for_http_1_0(server):
    with connect(server) as sock:
        sock.sendall(with_length(BODY, EXPECT, version=b"HTTP/1.0")[:-len(BODY)])
        sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            sock.recv(1)
        sock.settimeout(30)
        sock.sendall(BODY)
        assert parse_answer(read_until(sock, b"\r\n\r\n"))[0].status == 200


def test_100_comes_behind_the_answers_before_it(server):
    with connect(server) as sock:
        sock.sendall(get() + get(b"/nothing") + post(LENGTH + EXPECT))
        got = read_until(sock, CONTINUE)
        sock.sendall(BODY)
        rest, statuses = got, []
        while len(statuses) < 4:
            parsed = parse_answer(rest)
            if not parsed:
                rest += sock.recv(65536)
                continue
            statuses.append(parsed[0].status)
            rest = parsed[1]
        assert statuses == [200, 404, 100, 200]


def test_head_says_what_get_says(server):
    for path in (LIVE, b"/actuator/info", b"/pushca.yaml", b"/nothing", b"/send-notification"):
        whole = server.raw(get(path))[0][0]
        with connect(server) as sock:
            sock.sendall(get(path, method=b"HEAD") + get(b"/nothing", b"Connection: close\r\n"))
            got = b""
            while more := sock.recv(65536):
                got += more
        head, rest = parse_answer(got, is_head=True)
        assert (head.status, head.body) == (whole.status, b"")
        for name in ("content-type", "allow"):
            assert head.headers.get(name) == whole.headers.get(name)
        if whole.status == 200 and path != b"/actuator/info":
            assert head.headers["content-length"] == whole.headers["content-length"]
        assert parse_answer(rest)[0].status == 404


def test_what_stays_is_said_to_http_1_0(server):
    stays = server.raw(get(version=b"HTTP/1.0", fields=b"Connection: keep-alive\r\n"))[0][0]
    ends = server.raw(get(version=b"HTTP/1.0"))[0][0]
    assert (stays.headers["connection"], ends.headers["connection"]) == ("keep-alive", "close")
    assert "connection" not in server.raw(get())[0][0].headers


def test_who_sends_too_much_can_still_read_why(server):
    """The whole body is on its way before the answer is looked at: no reset may overtake it."""
    size = 4 << 20
    for head, body in (
        (post(b"Content-Length: %d\r\n" % size), b"x" * size),
        (post(CHUNKED), b"%x\r\n" % size + b"x" * size + b"\r\n0\r\n\r\n"),
        (get(fields=b"X: " + b"x" * size + b"\r\n"), b""),
        (get(b"/" + b"x" * size), b""),
    ):
        with connect(server) as sock:
            sock.sendall(head + body)
            got = b""
            while more := sock.recv(65536):
                got += more
        answer, rest = parse_answer(got)
        assert answer.status in (413, 414, 431)
        assert rest == b""


def test_an_empty_line_too_many_is_not_answered():
    with Server("pushca.limits.head-arrival-ms=200", "pushca.limits.keep-alive-ms=600") as server:
        for line in (b"\r\n", b"\r"):
            with connect(server) as sock:
                sock.sendall(with_length(BODY) + line)
                got = b""
                while more := sock.recv(65536):
                    got += more
            answer, rest = parse_answer(got)
            assert (answer.status, rest) == (200, b"")


def test_an_idle_connection_ends_in_silence():
    with Server("pushca.limits.keep-alive-ms=300") as server:
        for octets, count in ((b"", 0), (get(), 1)):
            with connect(server) as sock:
                sock.sendall(octets)
                got = b""
                while more := sock.recv(65536):
                    got += more
            assert got.count(b"HTTP/1.1 ") == count


@pytest.mark.parametrize("more, status", [(-1, 401), (0, 401), (1, 414)])
def test_limit_of_the_request_line_of_a_handshake(server, more, status):
    target = "/" + "t" * (8192 + more - len("GET / HTTP/1.1"))
    assert server.try_handshake(target).status == status


@pytest.mark.parametrize("more, status", [(-1, 200), (0, 200), (1, 414)])
def test_limits_that_are_set_hold_to_the_byte(more, status):
    with Server("pushca.limits.request-line-bytes=100", "pushca.limits.head-bytes=200", "pushca.limits.head-fields=4",
                "pushca.limits.body-bytes=200") as server:
        line = b"GET " + LIVE + b"?"
        line += b"x" * (100 + more - len(line + b" HTTP/1.1")) + b" HTTP/1.1\r\n"
        assert server.raw(b"\r\n" + line + HOST + b"\r\n")[0][0].status == status
        fields = HOST + b"X: "
        fields += b"x" * (200 + more - len(fields + b"\r\n")) + b"\r\n"
        assert server.raw(get(host=fields))[0][0].status == (431 if more > 0 else 200)
        assert server.raw(get(fields=b"X:y\r\n" * (3 + more)))[0][0].status == (431 if more > 0 else 200)
        for framed in (with_length, lambda body: b"POST /send-notification HTTP/1.1\r\n" + HOST + JSON + CHUNKED + b"\r\n" + chunks(body)):
            body = BODY + b" " * (200 + more - len(BODY))
            assert server.raw(framed(body))[0][0].status == (413 if more > 0 else 200)


def test_who_is_turned_away_gets_one_answer_whatever_it_sends():
    """64 at once are told so and may take their time to read it; more are told so and cut."""
    with Server("pushca.pusher.shards=1", "pushca.limits.http-connections=1", "pushca.limits.linger-ms=20000") as server:
        with connect(server) as inside:
            inside.sendall(get())
            read_until(inside, b"\r\n\r\n")
            refused = [connect(server) for _ in range(65)]
            for sock in refused:
                answer, rest = parse_answer(read_until(sock, b"\r\n\r\n"))
                assert (answer.status, answer.headers["connection"], rest) == (503, "close", b"")
            assert refused[64].recv(1) == b""
            for sock in refused[:64]:
                sock.sendall(get() * 3)
            # the one inside is served meanwhile, so what the others said has been read
            inside.sendall(get())
            read_until(inside, b"\r\n\r\n")
            for sock in refused:
                assert sock.recv(1) == b""
                sock.close()
            with connect(server) as again:
                assert b" 503 " in read_until(again, b"\r\n\r\n")
        until = time.monotonic() + 20
        while server.get(LIVE.decode()).status != 200:
            assert time.monotonic() < until
            time.sleep(0.02)

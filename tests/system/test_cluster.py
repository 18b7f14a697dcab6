"""Three pushers and one Redis: who is connected to any is reached through any, as on one."""

import base64
import contextlib
import json
import random
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from cluster import PREFIX, SANITIZED, SECRET, Cluster, Node, samples
from crowd import Crowd
from crowd import identity as crowd_identity
from frames import CLOSE, Raw, frame
from pushca import BINARY, Server, identity, parse_answer, wait_for
from redis_process import Redis, free_port, needs_redis
from traffic import Traffic

pytestmark = needs_redis

PLAIN, ACKED = "/send-notification", "/send-notification-with-acknowledge"
OPEN_DELIVERIES = 4


@pytest.fixture(scope="module", name="redis")
def make_redis(tmp_path_factory):
    with Redis(tmp_path_factory.mktemp("redis")) as redis:
        yield redis


@pytest.fixture(scope="module", name="cluster")
def make_cluster(redis):
    with Cluster(3, redis, f"pushca.limits.open-deliveries={OPEN_DELIVERIES}") as cluster:
        yield cluster


class Spread:
    """A crowd with a part on each node."""

    def __init__(self, cluster, workspace):
        self.workspace = workspace
        self.crowds = [Crowd(node) for node in cluster]
        self.clients = []

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        for crowd in self.crowds:
            crowd.close()

    def who(self, number, **overrides):
        return crowd_identity(number, workSpaceId=self.workspace, **overrides)

    def connect(self, count, **overrides):
        """Client i on node i % 3."""
        for node, crowd in enumerate(self.crowds):
            crowd.connect([self.who(i, **overrides) for i in range(node, count, len(self.crowds))])
        parts = [list(crowd.clients) for crowd in self.crowds]
        self.clients = [parts[i % len(parts)][i // len(parts)] for i in range(count)]
        return self.clients

    def send(self, node, who, text, **more):
        status, answer = self.crowds[node].post(PLAIN, {"filter": who, "message": text, **more})
        assert status == 200, (status, answer)

    def pump(self):
        for crowd in self.crowds:
            crowd.pump(0)

    def pump_until(self, done, wait=30):
        until = time.monotonic() + wait
        while not done():
            if time.monotonic() > until:
                return False
            for crowd in self.crowds:
                crowd.pump(0.01)
        return True

    def quiet(self, seconds=0.3):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for crowd in self.crowds:
                crowd.pump(0.02)


def socket_at(node, token):
    """A Raw at this node, whoever made the token."""
    raw = Raw.__new__(Raw)
    answer, raw.sock, raw.buffer = node.handshake("/" + token)
    assert answer.status == 101, answer
    return raw


def leave(raw):
    """A clean end of a client."""
    raw.send(frame(CLOSE, b"\x03\xe8"))
    raw.close_code()
    raw.sock.close()


def say_acknowledge(raw, message_id, version=1):
    words = {"messageId": message_id}
    if version == 1:
        raw.say(json.dumps({"command": "ACKNOWLEDGE", "metaData": words}))
    else:
        raw.say(f"any@@ACKNOWLEDGE@@{json.dumps(words)}")


def texts(raw, most, wait=1):
    """What comes, up to so many, until nothing does for a while."""
    got = []
    with contextlib.suppress(TimeoutError):
        while len(got) < most:
            got.append(raw.text(wait))
    return got


def nothing_comes(*raws, wait=0.3):
    for raw in raws:
        with pytest.raises(TimeoutError):
            raw.text(wait)


# ---- who gets what ---------------------------------------------------------------------------------


@pytest.mark.tsan
def test_direct_messages_from_every_node_to_every_node(cluster):
    with Spread(cluster, "direct") as spread:
        clients = spread.connect(9)
        for round_ in range(10):
            for node in range(3):
                for i in range(9):
                    spread.send(node, spread.who(i), f"{round_} {node} to {i}")
        assert spread.pump_until(lambda: all(len(c.texts) >= 30 for c in clients))
        spread.quiet()
        for i, client in enumerate(clients):
            # in order from each node
            for node in range(3):
                got = [text for text in client.texts if text.split()[1] == str(node)]
                assert got == [f"{round_} {node} to {i}" for round_ in range(10)]
            assert len(client.texts) == 30


@pytest.mark.tsan
def test_many_are_reached_by_filters(cluster):
    """All, some by each dimension, all but some: each exactly once, from each node."""
    with Spread(cluster, "filters") as spread:
        clients = spread.connect(12)
        filters = {
            "all": {"workSpaceId": "filters"},
            "account": {"workSpaceId": "filters", "accountId": "account-4"},
            "device": {"deviceId": "device-7", "workSpaceId": "filters"},
            "application": {"applicationId": "CROWD", "workSpaceId": "filters"},
            "nobody": {"workSpaceId": "filters", "applicationId": "OTHER"},
            "but": {"workSpaceId": "filters", "exclude": [spread.who(i) for i in (0, 1, 2, 5)]},
            "but all": {"workSpaceId": "filters", "exclude": [spread.who(i) for i in range(12)]},
        }
        chosen = {"all": range(12), "account": [4], "device": [7], "application": range(12), "nobody": [],
                  "but": set(range(12)) - {0, 1, 2, 5}, "but all": []}
        for node in range(3):
            for name, who in filters.items():
                spread.send(node, who, f"{name} {node}")
        wanted = [sorted(f"{name} {node}" for name, some in chosen.items() if i in some for node in range(3))
                  for i in range(12)]
        assert spread.pump_until(lambda: all(len(c.texts) >= len(w) for c, w in zip(clients, wanted)))
        spread.quiet()
        assert [sorted(c.texts) for c in clients] == wanted


def test_find_any_is_one_rotation(cluster, tell):
    """Seven clients on three nodes, 7,000 messages through random nodes: 1,000 each, give or take 1 %."""
    count = 1400 if SANITIZED else 7000
    draw = random.Random(7)
    with Spread(cluster, "rotation") as spread:
        clients = spread.connect(7)
        who = {"workSpaceId": "rotation", "applicationId": "CROWD", "findAny": True}

        def rotate(first, number):
            for i in range(first, first + number):
                spread.send(draw.randrange(3), who, str(i))
                if i % 50 == 0:
                    spread.pump()

        rotate(0, count)
        assert spread.pump_until(lambda: sum(len(c.texts) for c in clients) >= count)
        spread.quiet()
        shares = [len(c.texts) for c in clients]
        tell(f"{count} findAny messages through random nodes, 7 clients on 3: {shares}")
        assert sorted(int(text) for c in clients for text in c.texts) == list(range(count))
        assert all(abs(share - count / 7) <= count / 700 for share in shares)

        spread.crowds[1].leave(clients[1])
        others = clients[:1] + clients[2:]
        time.sleep(1)  # counts of other nodes may be a little old
        rotate(count, count * 6 // 7)
        wanted = count + count * 6 // 7 - len(clients[1].texts)
        assert spread.pump_until(lambda: sum(len(c.texts) for c in others) >= wanted)
        shares = [len(c.texts) - share for c, share in zip(others, shares[:1] + shares[2:])]
        tell(f"{count * 6 // 7} more when one had gone: {shares}")
        assert all(abs(share - count / 7) <= count / 700 for share in shares)


def test_find_any_with_an_exclude_list_and_without_a_match(cluster):
    with Spread(cluster, "rotation-but") as spread:
        clients = spread.connect(6)
        who = {"workSpaceId": "rotation-but", "findAny": True, "exclude": [spread.who(0), spread.who(4)]}
        for i in range(120):
            spread.send(i % 3, who, str(i))
        spread.send(0, {"workSpaceId": "rotation-nobody", "findAny": True}, "nobody")
        spread.send(1, {**spread.who(5), "findAny": True}, "only")
        assert spread.pump_until(lambda: sum(len(c.texts) for c in clients) >= 121)
        spread.quiet()
        assert [len([t for t in c.texts if t.isdigit()]) for c in clients] == [0, 30, 30, 30, 0, 30]
        assert [c.texts.count("only") for c in clients] == [0, 0, 0, 0, 0, 1]


@pytest.mark.skipif(SANITIZED, reason="so many messages take too long")
def test_more_find_any_filters_than_a_node_remembers(cluster):
    """Each of them is asked for on all nodes: who matches is on one of them only."""
    count = 3 * 4096 + 600
    with Spread(cluster, "rotation-many") as spread:
        (client,) = spread.connect(1)
        for i in range(count):
            who = {"workSpaceId": "rotation-many", "findAny": True, "exclude": [spread.who(1000 + i)]}
            spread.send(1 + i % 2, who, str(i))
            if i % 100 == 0:
                spread.pump()
        assert spread.pump_until(lambda: len(client.texts) >= count), len(client.texts)
        assert sorted(map(int, client.texts)) == list(range(count))


def test_who_connects_just_after_nobody_was_found_is_found(cluster):
    """What a node knows of the others' clients is never older than they are."""
    for i in range(20):
        worker, who = identity(f"{i}", applicationId="LATE"), {"applicationId": "LATE", "findAny": True}
        assert cluster[0].post(PLAIN, {"filter": who, "message": "nobody"}).status == 200
        with Raw(cluster[i % 3], worker) as raw:
            assert cluster[(i + 1) % 3].post(PLAIN, {"filter": who, "message": "found"}).status == 200
            texts = [raw.text()]
            if texts == ["nobody"]:  # it was still being looked for
                texts.append(raw.text())
            assert texts[-1] == "found"


def test_a_pool_is_one_client_to_all_nodes(cluster):
    """Opened through another node; each message goes to one of its sockets, in turn."""
    answer = cluster[0].post("/open-connection-pool", {
        "client": identity("pool"), "poolSize": 4, "pusherInstanceId": "node-1"})
    assert answer.status == 200 and answer.json["pusherInstanceId"] == "node-1"
    urls = [one["externalAdvertisedUrl"] for one in answer.json["addresses"]]
    assert len(set(urls)) == 4 and all(f":{cluster[1].ws[1]}/" in url for url in urls)
    with contextlib.ExitStack() as stack:
        pool = [stack.enter_context(socket_at(cluster[1], url.rpartition("/")[2])) for url in urls]
        for i in range(80):
            assert cluster[(i % 2) * 2].post(PLAIN, {"filter": identity("pool"), "message": str(i)}).status == 200
        got = [[raw.text() for _ in range(20)] for raw in pool]
        nothing_comes(*pool, wait=0.1)
        assert sorted(int(text) for some in got for text in some) == list(range(80))
        assert cluster[2].post(PLAIN, {"filter": {"accountId": identity("pool")["accountId"]}, "message": "all"}).status == 200
        found = []
        for raw in pool:
            with contextlib.suppress(TimeoutError):
                found.append(raw.text(0.3))
        assert found == ["all"]


# ---- connecting -------------------------------------------------------------------------------------


def test_a_socket_on_the_node_that_was_asked_for(cluster):
    for asked in cluster:
        for wanted in cluster:
            who = identity(f"wants-{wanted.number}")
            answer = asked.post("/open-connection", {"client": who, "pusherInstanceId": wanted.name}).json
            assert answer["pusherInstanceId"] == wanted.name
            for name in ("externalAdvertisedUrl", "internalAdvertisedUrl", "browserAdvertisedUrl"):
                assert f":{wanted.ws[1]}/" in answer[name]
            with socket_at(wanted, answer["externalAdvertisedUrl"].rpartition("/")[2]) as raw:
                assert asked.post(PLAIN, {"filter": who, "message": "here"}).status == 200
                assert raw.text() == "here"


@pytest.mark.parametrize("instance", ["node-9", "nobody", None, ""])
def test_an_unknown_node_is_replaced_by_another(cluster, instance):
    for node in cluster:
        answer = node.post("/open-connection", {"client": identity("anywhere"), "pusherInstanceId": instance})
        assert answer.status == 200
        number = int(answer.json["pusherInstanceId"].removeprefix("node-"))
        assert f":{cluster[number].ws[1]}/" in answer.json["externalAdvertisedUrl"]
        assert cluster[number].try_handshake("/" + answer.json["externalAdvertisedUrl"].rpartition("/")[2]).status == 101


def test_the_sign_in_of_web_pages_names_the_node_asked_for(cluster):
    body = json.dumps({"client": identity("page"), "pusherInstanceId": "node-2"}).encode()
    path = "/sign-in/" + base64.urlsafe_b64encode(body).decode().rstrip("=")
    answer, sock, rest = cluster[0].handshake(path)
    raw = Raw.__new__(Raw)
    raw.sock, raw.buffer = sock, rest
    with raw:
        assert answer.status == 101
        assert json.loads(raw.text())["pusherInstanceId"] == "node-2"
        assert raw.close_code() == 1000


def test_a_full_node_names_another_one(redis):
    """It has its one client; what it answers is of use as long as any node has room."""
    def each(number):
        return [f"pushca.pusher.socket-pool-size={1 if number == 0 else 100}"]

    with Cluster(2, redis, "pushca.storage.redis.prefix=full", each=each) as cluster, Raw(cluster[0], identity("first")):
        for wanted in ("node-1", None, "node-0", "node-9"):
            who = identity(f"wants-{wanted}")
            words = {"client": who, "pusherInstanceId": wanted}
            for path, more in (("/open-connection", {}), ("/open-connection-pool", {"poolSize": 2})):
                answer = cluster[0].post(path, {**words, **more})
                assert (answer.status, answer.json["pusherInstanceId"]) == (200, "node-1"), answer
            answer, sock, rest = cluster[0].handshake("/sign-in/" + base64.urlsafe_b64encode(json.dumps(words).encode()).decode().rstrip("="))
            raw = Raw.__new__(Raw)
            raw.sock, raw.buffer = sock, rest
            with raw:
                assert answer.status == 101
                told = json.loads(raw.text())
                assert told["pusherInstanceId"] == "node-1"
                assert raw.close_code() == 1000
            with socket_at(cluster[1], told["externalAdvertisedUrl"].rpartition("/")[2]) as raw:
                assert cluster[0].post(PLAIN, {"filter": who, "message": "here"}).status == 200
                assert raw.text() == "here"
        cluster.stop(1)
        for wanted in ("node-1", None):
            words = {"client": identity("late"), "pusherInstanceId": wanted}
            wait_for(lambda words=words: cluster[0].post("/open-connection", words).status == 429)
        assert cluster[0].metrics()['pushca_refused_total{reason="sockets"}'] == 2
        cluster[0].wait_for_metric('pushca_connections{listener="websocket"}', 0)


def test_a_token_of_one_node_opens_any(cluster):
    token = cluster[0].open(identity("token")).rpartition("/")[2]
    for node in (cluster[1], cluster[2], cluster[0]):
        with socket_at(node, token) as raw:
            assert cluster[1].post(PLAIN, {"filter": identity("token"), "message": node.name}).status == 200
            assert raw.text() == node.name
            raw.say("r@@REFRESH_TOKEN")
            token = json.loads(raw.text().split("@@", 2)[2])["body"]
            leave(raw)


# ---- acknowledges -----------------------------------------------------------------------------------


def ask(node, who, text="answer me", **more):
    """A request whose answer is read later."""
    body = json.dumps({"id": "m1", "client": who, "message": text, **more}).encode()
    sock = socket.create_connection(node.rest, timeout=20)
    sock.sendall(b"POST %s HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                 % (ACKED.encode(), len(body), body))
    return sock


def status_of(sock):
    with sock:
        got = b""
        while not parse_answer(got):
            more = sock.recv(65536)
            assert more, got
            got += more
        return parse_answer(got)[0].status


@pytest.mark.tsan
@pytest.mark.parametrize("version", [1, 2])
def test_an_acknowledge_finds_its_way_back_to_rest(cluster, version):
    who = identity(f"acked-{version}")
    with Raw(cluster[1], who) as raw:
        for node in cluster:
            asked = ask(node, who, node.name)
            message_id, text = raw.text().split("@@")
            assert text == node.name and message_id.endswith("-0")
            say_acknowledge(raw, message_id, version)
            say_acknowledge(raw, message_id, version)  # counts once
            assert status_of(asked) == 200


def test_an_acknowledge_over_another_socket_of_the_pool(cluster):
    who = identity("acked-pool")
    with Raw(cluster[2], who) as one, Raw(cluster[2], who) as other:
        first, second = ask(cluster[0], who, "first"), ask(cluster[1], who, "second")
        one_id, other_id = (raw.text().split("@@")[0] for raw in (one, other))
        say_acknowledge(one, other_id)
        say_acknowledge(other, one_id)
        assert [status_of(first), status_of(second)] == [200, 200]


def test_no_acknowledge_is_408(cluster):
    """Nobody there; somebody silent; an acknowledge of something else, by somebody else, or too late."""
    who, third = identity("silent"), identity("third")
    asked = [ask(node, identity("absent")) for node in cluster]
    with Raw(cluster[1], who) as raw, Raw(cluster[2], third) as stranger:
        asked.append(ask(cluster[0], who))
        message_id = raw.text().split("@@")[0]
        say_acknowledge(raw, message_id[:-3] + ("8-0" if message_id[-3] == "9" else "9-0"))
        say_acknowledge(stranger, message_id)
        assert [status_of(one) for one in asked] == [408] * 4
        say_acknowledge(raw, message_id)
        asked = ask(cluster[0], who, "again")
        message_id = raw.text().split("@@")[0]
        say_acknowledge(raw, message_id)
        assert status_of(asked) == 200
        nothing_comes(stranger)


def test_a_receiver_with_too_many_open_messages_is_429(cluster):
    who = identity("busy")
    with Raw(cluster[1], who) as raw:
        asked = [ask(cluster[2], who, str(i)) for i in range(OPEN_DELIVERIES)]
        texts = [raw.text() for _ in asked]
        assert status_of(ask(cluster[0], who, "one more")) == 429
        for text in texts:
            say_acknowledge(raw, text.split("@@")[0])
        assert [status_of(one) for one in asked] == [200] * OPEN_DELIVERIES
        nothing_comes(raw, wait=0.2)


@pytest.mark.tsan
def test_an_acknowledge_finds_its_way_back_to_a_socket(cluster):
    """Both grammars, with an id of the sender's and without."""
    there = identity("acked-there")
    with Raw(cluster[0], identity("asker")) as asker, Raw(cluster[1], there) as raw:
        for words, grammar, expected in (
                ({"id": "mine-1"}, "v1", "mine-1"), ({}, "v1", None),
                ({"id": "mine-2"}, "v2", "mine-2"), ({}, "v2", "command")):
            words = {**words, "client": there, "message": "well?"}
            if grammar == "v1":
                asker.say(json.dumps({"command": "SEND_MESSAGE_WITH_ACKNOWLEDGE", "metaData": words}))
            else:
                asker.say("command@@SEND_MESSAGE_WITH_ACKNOWLEDGE@@" + json.dumps(words))
            message_id, text = raw.text().split("@@")
            assert text == "well?"
            say_acknowledge(raw, message_id)
            assert asker.text() == f"{expected or message_id}@@ACKNOWLEDGE"
        asker.say("nobody@@SEND_MESSAGE_WITH_ACKNOWLEDGE@@" + json.dumps({"client": identity("absent"), "message": "x"}))
        nothing_comes(asker, raw)


def test_a_repeat_while_unacknowledged_comes_again_under_the_same_id(cluster):
    there = identity("repeated")
    command = "r1@@SEND_MESSAGE_WITH_ACKNOWLEDGE@@" + json.dumps({"id": "r1", "client": there, "message": "again"})
    with Raw(cluster[0], identity("repeats")) as asker, Raw(cluster[2], there) as raw:
        asker.say(command)
        first = raw.text()
        asker.say(command)
        assert raw.text() == first
        say_acknowledge(raw, first.split("@@")[0])
        assert asker.text() == "r1@@ACKNOWLEDGE"
        asker.say(command)
        assert asker.text() == "r1@@ACKNOWLEDGE"
        nothing_comes(raw, asker, wait=0.2)


def test_all_nodes_hear_of_new_advertised_urls(tmp_path, redis):
    """SIGHUP on one: the others hand out what it says now."""
    path = tmp_path / "application.yaml"
    where = {"client": identity("1"), "pusherInstanceId": "node-0"}
    path.write_text("pushca.pusher.browser-advertised-url: ws://before.example/\n")
    with Cluster(2, redis, "pushca.storage.redis.prefix=advertised", configs={0: path}) as other:
        for name in ("before", "after", "later"):
            path.write_text(f"pushca.pusher.browser-advertised-url: ws://{name}.example/\n")
            other[0].process.send_signal(signal.SIGHUP)
            for node in other:
                wait_for(lambda: node.post("/open-connection", where).json["browserAdvertisedUrl"].startswith(f"ws://{name}.example/"))


# ---- moving -----------------------------------------------------------------------------------------


def test_who_reconnects_elsewhere_is_reached_at_once(cluster, tell):
    """500 times, from a random node that knew where he was before: the next message after the 101 is there."""
    count = 100 if SANITIZED else 500
    who, draw, slowest = identity("restless"), random.Random(5), 0.0
    token = cluster[0].open(who).rpartition("/")[2]
    with contextlib.ExitStack() as stack:
        senders = [Crowd(node) for node in cluster]
        for sender in senders:
            stack.callback(sender.close)
        at, raw = 0, socket_at(cluster[0], token)
        for number in range(count):
            for sender in senders:  # now every cache knows
                assert sender.post(PLAIN, {"filter": who, "message": f"before {number}"})[0] == 200
            assert [raw.text() for _ in senders] == [f"before {number}"] * 3
            if number % 2:
                leave(raw)
            else:
                raw.sock.close()
            at = (at + draw.choice((1, 2))) % 3
            raw = socket_at(cluster[at], token)
            began = time.monotonic()
            assert senders[draw.randrange(3)].post(PLAIN, {"filter": who, "message": f"after {number}"})[0] == 200
            assert raw.text() == f"after {number}"
            slowest = max(slowest, time.monotonic() - began)
        raw.sock.close()
    tell(f"reconnected to another node {count} times: reached at once, the slowest after {slowest * 1000:.0f} ms")


def test_a_stale_socket_elsewhere_takes_nothing_from_the_new_one(cluster):
    """The old one still stands and even answers pings: the newest is where messages go, from every node."""
    who = identity("stale")
    stale = [Raw(cluster[0], who)]
    for at in (1, 2):
        for node in cluster:
            assert node.post(PLAIN, {"filter": who, "message": "warm"}).status == 200
            assert stale[-1].text() == "warm"
        stale.append(Raw(cluster[at], who))
        for number in range(30):
            assert cluster[number % 3].post(PLAIN, {"filter": who, "message": str(number)}).status == 200
        assert sorted(int(stale[-1].text()) for _ in range(30)) == list(range(30))
    nothing_comes(*stale, wait=0.1)
    for raw in stale:
        raw.sock.close()


def test_one_identity_on_two_nodes_gets_each_message_once(cluster):
    who = identity("twice", applicationId="TWICE")
    with Raw(cluster[0], who) as first, Raw(cluster[1], who) as second:
        filters = (who, {"applicationId": "TWICE"}, {"applicationId": "TWICE", "findAny": True})
        for number in range(90):
            assert cluster[number % 3].post(PLAIN, {"filter": filters[number // 3 % 3], "message": str(number)}).status == 200
        assert sorted(int(second.text()) for _ in range(90)) == list(range(90))
        nothing_comes(first, second)


def texts_of(raws, count, wait=5):
    """What each of them gets, until it is so many in all."""
    got = [[] for _ in raws]
    until = time.monotonic() + wait
    while sum(map(len, got)) < count and time.monotonic() < until:
        for texts, raw in zip(got, raws):
            with contextlib.suppress(TimeoutError):
                while sum(map(len, got)) < count:
                    texts.append(raw.text(0.02))
    return got


@pytest.mark.tsan
def test_the_older_socket_takes_over_at_once(cluster, tell):
    """One identity on two or three nodes, and the newest socket closes: from the moment its node has noticed, nothing is lost."""
    who, slowest = identity("handed"), 0.0
    token = cluster[0].open(who).rpartition("/")[2]
    for number in range(12 if SANITIZED else 60):
        nodes = [cluster[(number + i) % 3] for i in range(2 + number % 2)]
        here = [(node, socket_at(node, token)) for node in nodes]
        while here:
            newest, raw = here.pop()
            for node in cluster:  # now all know where it is
                assert node.post(PLAIN, {"filter": who, "message": "warm"}).status == 200
                assert raw.text() == "warm"
            leave(raw)
            while newest.clients()[1]:
                pass
            began = time.monotonic()
            sent = [f"{node.name} {i}" for i in range(3 if here else 0) for node in cluster]
            for text in sent:
                assert cluster[int(text[5])].post(PLAIN, {"filter": who, "message": text}).status == 200
            got = texts_of([raw for _, raw in here], len(sent))
            assert sorted(text for texts in got for text in texts) == sorted(sent)
            slowest = max(slowest, time.monotonic() - began)
            if len(here) == 2 and got[0]:  # that one counts as the newest now
                here.reverse()
    tell(f"the older socket took over, 9 messages each time: nothing lost, {slowest * 1000:.0f} ms at most")


def test_sockets_come_and_go_and_the_directory_is_right(cluster):
    draw = random.Random(11)
    tokens = [cluster[0].open(identity(f"comes-{i}")).rpartition("/")[2] for i in range(40)]
    here = []
    for _ in range(300):
        here.append(socket_at(cluster[draw.randrange(3)], draw.choice(tokens)))
        if len(here) > 30:
            raw = here.pop(draw.randrange(len(here)))
            raw.sock.close()
    cluster.wait_for_directory()
    for raw in here:
        raw.sock.close()
    wait_for(lambda: not cluster.truth())
    cluster.wait_for_directory()
    assert not cluster.written()


def test_acknowledge_over_a_socket_at_another_node(cluster):
    """As on one node: it counts over any socket of that client, also one that it opened meanwhile, and over no other's."""
    who = identity("acknowledges-elsewhere")
    words = {"client": who, "message": "m"}
    for version in (1, 2):
        with contextlib.ExitStack() as stack:
            first = stack.enter_context(Raw(cluster[0], who))
            other = stack.enter_context(Raw(cluster[1], identity("another-client")))
            answer = {}
            asks = threading.Thread(target=lambda: answer.update(got=cluster[2].post(ACKED, words).status))
            asks.start()
            message_id = first.text().split("@@")[0]
            say_acknowledge(other, message_id, version)
            nothing_comes(other, wait=0.1)
            assert not answer
            if version == 1:
                leave(first)
            second = stack.enter_context(Raw(cluster[1], who))
            say_acknowledge(second, message_id, version)
            asks.join(10)
            assert answer == {"got": 200}
    total = "acknowledges_unknown_total"
    before = sum(samples(cluster[0], total).values())
    with Raw(cluster[0], who) as raw:
        say_acknowledge(raw, "no such id", 2)
        raw.say("PING")
        assert raw.text() == "PONG"
    assert sum(samples(cluster[0], total).values()) == before + 1


@pytest.mark.parametrize("how", ["left", "half open"])
def test_an_asker_who_moved_hears_of_the_acknowledge(cluster, how):
    """Also one whose earlier socket is still there for the server, as when a phone has changed networks."""
    receiver, asker = identity(f"acknowledges-late-{how}"), identity(f"asks-and-moves-{how}")
    with Raw(cluster[2], receiver) as to, Raw(cluster[0], asker) as first:
        first.say("a@@SEND_MESSAGE_WITH_ACKNOWLEDGE@@" + json.dumps({"id": "moved", "client": receiver, "message": "m"}))
        message_id = to.text().split("@@")[0]
        if how == "left":
            leave(first)
        with Raw(cluster[1], asker) as second:
            say_acknowledge(to, message_id)
            assert second.text() == "moved@@ACKNOWLEDGE"


# ---- order ------------------------------------------------------------------------------------------


def test_preserve_order_keeps_one_order_and_one_socket(cluster):
    count = 2000 if SANITIZED else 10000
    who = identity("ordered")
    bodies = [json.dumps({"filter": who, "message": str(i), "preserveOrder": True}).encode() for i in range(count)]
    data = [b"POST /send-notification HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
            % (len(body), body) for body in bodies]
    with Raw(cluster[1], who) as one, Raw(cluster[1], who) as other:
        found = {}

        def read(raw):
            with contextlib.suppress(TimeoutError, AssertionError, OSError):
                while len(found[raw]) < count:
                    found[raw].append(raw.text(3))

        threads = []
        for raw in (one, other):
            found[raw] = []
            threads.append(threading.Thread(target=read, args=(raw,)))
            threads[-1].start()
        with socket.create_connection(cluster[0].rest, timeout=30) as sock:
            answered = b""
            for at in range(0, count, 100):
                sock.sendall(b"".join(data[at : at + 100]))
                while answered.count(b"HTTP/1.1 200") < at + 100:
                    more = sock.recv(65536)
                    assert more
                    answered += more
        for thread in threads:
            thread.join()
        assert sorted(len(some) for some in found.values()) == [0, count], "one socket"
        assert (found[one] or found[other]) == [str(i) for i in range(count)]


ROUTES = {
    "to one": lambda who: who,
    "to all that match": lambda who: {"workSpaceId": who["workSpaceId"], "accountId": who["accountId"]},
    "findAny": lambda who: {"accountId": who["accountId"], "findAny": True},
}


@pytest.mark.parametrize("route", ROUTES)
def test_preserve_order_over_all_nodes(cluster, route):
    """A producer that goes from node to node, each time after the answer: by REST, and over sockets of its own."""
    count = 300 if SANITIZED else 1500
    who = identity(f"walked-to-{route}")
    words = {"filter": ROUTES[route](who), "preserveOrder": True, "sender": identity("walker")}
    with contextlib.ExitStack() as stack:
        pool = [stack.enter_context(Raw(cluster[1], who)) for _ in range(2 if route == "to one" else 1)]
        rests = [Crowd(node) for node in cluster]
        for rest in rests:
            stack.callback(rest.close)
        sockets = [stack.enter_context(Raw(node, identity(f"walker-{node.number}"))) for node in cluster]
        for i in range(count):
            assert rests[i % 3].post(PLAIN, {**words, "message": f"{i}"})[0] == 200
        got = [found for raw in pool if (found := texts(raw, count))]
        assert got == [[str(i) for i in range(count)]], "in order, and on one socket of the pool"
        if len(pool) == 1:  # by whom sockets of a pool are chosen is the client's identity, and these are three
            for i in range(count):
                sockets[i % 3].say(f"{i}@@SEND_MESSAGE@@" + json.dumps({**words, "message": f"{i}"}))
                assert sockets[i % 3].text() == f"{i}@@RESPONSE"
            assert texts(pool[0], count) == got[0]
        assert sum(samples(node, "cluster_order_overdue_total").popitem()[1] for node in cluster) == 0


def is_stopped(pid):
    """Every thread of it: one that has not noticed yet goes on."""
    return all(stat.read_text().rsplit(")")[-1].split()[0] == "T" for stat in Path(f"/proc/{pid}/task").glob("*/stat"))


def test_preserve_order_waits_only_so_long(tmp_path):
    """A node that is frozen does not confirm: after order-ms the sender is answered all the same; with 0, at once."""
    for order_ms, overdue in ((300, 2), (0, 0)):
        with Redis(tmp_path) as redis, Cluster(2, redis, f"pushca.cluster.order-ms={order_ms}") as cluster:
            who = identity("frozen-with-his-node")
            with Raw(cluster[1], who) as receiver, Raw(cluster[0], identity("s")) as sender:
                words = {"filter": who, "message": "m", "preserveOrder": True}
                assert cluster[0].post(PLAIN, words).status == 200
                assert receiver.text() == "m"
                before = samples(cluster[0], "cluster_order_overdue_total").popitem()[1]
                cluster[1].process.send_signal(signal.SIGSTOP)
                wait_for(lambda: is_stopped(cluster[1].process.pid), 10)
                try:
                    assert cluster[0].post(PLAIN, words).status == 200
                    for _ in range(2):  # said again while it waits it is the same command, and waits as well
                        sender.say("w@@SEND_MESSAGE@@" + json.dumps(words))
                    assert sender.text() == "w@@RESPONSE"
                    assert samples(cluster[0], "cluster_order_overdue_total").popitem()[1] == before + overdue
                    if overdue:
                        nothing_comes(sender)
                finally:
                    cluster[1].process.send_signal(signal.SIGCONT)
                assert [receiver.text(), receiver.text()] == ["m", "m"]


def test_each_producers_order_is_kept(cluster):
    """By REST, v1 and v2 from three nodes at once, to one client; one of them is on his node."""
    count = 700 if SANITIZED else 3400
    who = identity("producers")
    with Raw(cluster[1], who) as receiver, Raw(cluster[1], identity("p1")) as first, Raw(cluster[2], identity("p2")) as second:
        rest = Crowd(cluster[0])

        def by_rest():
            for i in range(count):
                assert rest.post(PLAIN, {"filter": who, "message": f"rest {i}"})[0] == 200

        def by_v1():
            for i in range(count):
                first.say(json.dumps({"command": "SEND_MESSAGE", "metaData": {"filter": who, "message": f"v1 {i}"}}))

        def by_v2():
            for i in range(count):
                second.say(f"{i}@@SEND_MESSAGE@@" + json.dumps({"filter": who, "message": f"v2 {i}"}))
                assert second.text() == f"{i}@@RESPONSE"

        threads = [threading.Thread(target=one, daemon=True) for one in (by_rest, by_v1, by_v2)]
        for thread in threads:
            thread.start()
        got = {"rest": [], "v1": [], "v2": []}
        for _ in range(3 * count):
            name, number = receiver.text().split()
            got[name].append(int(number))
        for thread in threads:
            thread.join(30)
        rest.close()
        assert got == {name: list(range(count)) for name in got}


# ---- large ------------------------------------------------------------------------------------------


def test_large_messages_pass_between_nodes(cluster):
    """1 MiB by REST to all; as much as a socket may send, to one."""
    with contextlib.ExitStack() as stack:
        raws = [stack.enter_context(Raw(node, identity(f"large-{node.number}", applicationId="LARGE"))) for node in cluster]
        text = "L" * ((1 << 20) - 200)
        for node in cluster:
            assert node.post(PLAIN, {"filter": {"applicationId": "LARGE"}, "message": text}).status == 200
            assert all(raw.text() == text for raw in raws)
        for size in ((1 << 20) + 26, (8 << 20) - 400):
            text = "abc\u00e4" * (size // 5)
            words = {"filter": identity("large-2", applicationId="LARGE"), "message": text}
            raws[0].say("big@@SEND_MESSAGE@@" + json.dumps(words, ensure_ascii=False))
            assert raws[0].text() == "big@@RESPONSE"
            assert raws[2].text(30) == text


# ---- the whole ---------------------------------------------------------------------------------------


@pytest.mark.tsan
def test_traffic_in_peace(cluster, tell):
    with Traffic(cluster, pause=0.1 if SANITIZED else 0.02) as traffic:
        time.sleep(2)
        traffic.wait_until_back()
        traffic.settle()
    traffic.check(silent=True, tell=tell)
    assert not traffic.closed() or all(session.code is None for session in traffic.closed())


@pytest.mark.tsan
def test_a_node_drains_under_load(tmp_path, tell):
    """SIGTERM: its clients go elsewhere, and what it has accepted still arrives."""
    with Redis(tmp_path) as redis, Cluster(3, redis, "pushca.drain-window-ms=500") as cluster:
        with Traffic(cluster, pause=0.1 if SANITIZED else 0.02) as traffic:
            traffic.wait_until_back()
            traffic.away.add(1)
            cluster.stop(1)
            cluster.wait_until_whole()
            traffic.wait_until_back()
            codes = {session.code for session in traffic.closed()}
            assert codes == {1001}
            assert len(traffic.closed()) == 3
            traffic.settle()
            assert not any(text.startswith("node-1 ") for text in cluster.written().values())
            cluster.wait_for_directory()
        traffic.check(turns=False, tell=tell)


def test_health_tells_of_the_cluster(cluster):
    for node in cluster:
        health = node.get("/actuator/health").json
        assert health["status"] == "UP"
        part = health["components"]["cluster"]
        assert part["status"] == "UP"
        assert part["details"]["nodes"] == 3 and part["details"]["state"] == "up"
        for probe in ("liveness", "readiness"):
            assert node.get(f"/actuator/health/{probe}").status == 200
        assert node.get("/actuator/info").json["pusher"]["instanceId"] == node.name
        told = node.get("/actuator/cluster").json
        assert told["instanceId"] == node.name and told["state"] == "up"
        assert sorted(one["instanceId"] for one in told["nodes"]) == ["node-0", "node-1", "node-2"]
        assert all(one["takesClients"] for one in told["nodes"])


def test_metrics_tell_of_the_cluster(cluster):
    for node in cluster:
        found = samples(node, "^pushca_cluster_")
        assert found, "no metric of the cluster"
        names = node.get("/actuator/metrics").json["names"]
        for name in names:
            if name.startswith("pushca.cluster."):
                assert node.get(f"/actuator/metrics/{name}").json["measurements"]
    before = samples(cluster[0], "^pushca_cluster_.*total")
    with Raw(cluster[1], identity("counted")) as raw:
        assert cluster[0].post(PLAIN, {"filter": identity("counted"), "message": "x"}).status == 200
        assert raw.text() == "x"
    after = samples(cluster[0], "^pushca_cluster_.*total")
    assert any(after[name] > value for name, value in before.items())


def test_no_secret_is_told(cluster):
    secret = SECRET.partition("=")[2].encode()
    for path in ("/actuator/health", "/actuator/info", "/actuator/cluster", "/actuator/cluster/clients", "/actuator/prometheus"):
        assert secret not in cluster[0].get(path).body
    assert secret.decode() not in cluster[0].log()


# ---- other clusters ----------------------------------------------------------------------------------


def test_another_prefix_is_another_cluster(cluster, redis):
    with Cluster(2, redis, "pushca.storage.redis.prefix=other") as other:
        assert cluster.is_whole()
        with Raw(other[0], identity("1")) as there, Raw(cluster[0], identity("1")) as here:
            for node, text in ((other[1], "other"), (cluster[1], "this")):
                assert node.post(PLAIN, {"filter": identity("1"), "message": text}).status == 200
                assert node.post(PLAIN, {"filter": {}, "message": "all of " + text}).status == 200
            assert [there.text(), there.text()] == ["other", "all of other"]
            assert [here.text(), here.text()] == ["this", "all of this"]
            nothing_comes(here, there)
    entries = redis.read("*:client:*")
    assert all(key.startswith(PREFIX + ":") or text.startswith("~") for key, text in entries.items())


def test_redis_with_a_user_and_a_password(tmp_path):
    password = "a-password-nobody-is-told"
    with Redis(tmp_path, "--user", "pusher", "on", f">{password}", "~*", "&*", "+@all") as redis, \
            Cluster(2, redis, "pushca.storage.redis.username=pusher", f"pushca.storage.redis.password={password}",
                    "pushca.storage.redis.database=3") as cluster:
        with Raw(cluster[1], identity("1")) as raw:
            assert cluster[0].post(PLAIN, {"filter": identity("1"), "message": "x"}).status == 200
            assert raw.text() == "x"
        users = {line.split("user=")[1].split()[0] for line in redis.ask("CLIENT", "LIST").splitlines() if "pushca" in line}
        assert users == {"pusher"}
        for node in cluster:
            assert password not in node.log()
            assert password.encode() not in node.get("/actuator/cluster").body


@pytest.mark.parametrize("rights, command", [(["+@all"], "SSUBSCRIBE"), (["&*", "+@all", "-spublish"], "SPUBLISH")])
def test_rights_that_redis_does_not_grant_are_named(tmp_path, rights, command):
    """Redis answers, only not as it should: whoever reads the log learns what to grant."""
    with Redis(tmp_path, "--user", "pusher", "on", ">word", "~*", *rights) as redis:
        began = time.monotonic()
        with Node(0, (free_port(), free_port()), *redis.sets(), "pushca.storage.redis.username=pusher",
                  "pushca.storage.redis.password=word") as node:
            time.sleep(1.5)
            lines = [line for line in node.log().splitlines() if "bus refused" in line]
            assert all("NOPERM" in line and "&pushca:*" in line for line in lines)
            lines = [line for line in lines if f"command={command} " in line]
            assert 1 <= len(lines) <= time.monotonic() - began + 1, node.log()
            assert "cluster not joined" in node.log() and "does not answer" not in node.log()
            assert node.cluster()[0] != "up"
            redis.ask("ACL", "SETUSER", "pusher", "allchannels", "+@all")
            wait_for(lambda: node.cluster()[0] == "up")


def test_a_node_that_may_speak_to_itself_alone_says_so(tmp_path):
    with Redis(tmp_path, "--user", "pusher", "on", ">word", "~*", "&pushca:node:node-0", "+@all") as redis, \
            Node(0, (free_port(), free_port()), *redis.sets(), "pushca.storage.redis.username=pusher",
                 "pushca.storage.redis.password=word") as node:
        assert node.cluster()[0] == "up" and "bus refused" not in node.log()
        with Node(1, (free_port(), free_port()), *redis.sets()):
            wait_for(lambda: "bus refused command=SPUBLISH" in node.log())


def test_instance_ids_that_were_configured_stay(cluster, redis):
    """A restarted node is the same one to everybody, in another life."""
    with Cluster(2, redis, "pushca.storage.redis.prefix=again") as other:
        lives = [other[1].clients()[0]]
        for _ in range(2):
            other.stop(1)
            other.start_again(1)
            lives.append(other[1].clients()[0])
            assert other[0].post("/open-connection", {"client": identity("1"), "pusherInstanceId": "node-1"}).json[
                "pusherInstanceId"] == "node-1"
        assert len(set(lives)) == 3


def test_two_nodes_with_one_name_say_so_and_one_killed_and_started_again_does_not(redis):
    with Cluster(2, redis, "pushca.storage.redis.prefix=twin") as other:
        other.kill(1)
        other.start_again(1)  # within the lease of its former life
        assert "instance id taken" not in other[1].log()
        with Node(1, (free_port(), free_port()), *redis.sets(), "pushca.storage.redis.prefix=twin") as twin:
            for node in (other[1], twin):
                wait_for(lambda node=node: "ERROR instance id taken" in node.log())


def test_a_cluster_needs_a_secret():
    command = [BINARY, "serve", "--set", "pushca.pusher.deploy-mode=cluster", "--set", "server.port=0", "--set",
               "pushca.pusher.socket-port=0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode not in (0, -6, -11)
    assert "pushca.coordinator.secret-key" in done.stderr


def test_standalone_never_touches_redis():
    """Somebody listens where Redis would be, and nobody calls."""
    with socket.create_server(("127.0.0.1", free_port())) as listener:
        sets = [f"pushca.storage.redis.port={listener.getsockname()[1]}", "pushca.storage.redis.host=127.0.0.1"]
        for mode in ([], ["pushca.pusher.deploy-mode=standalone"]):
            with Server(*sets, *mode) as server, Raw(server, identity("1")) as raw:
                for who in (identity("1"), {}, identity("2"), {"applicationId": "MY_APPLICATION", "findAny": True}):
                    assert server.post(PLAIN, {"filter": who, "message": "x"}).status == 200
                assert [raw.text() for _ in range(3)] == ["x"] * 3
                assert "cluster" not in server.get("/actuator/health").json["components"]
                assert server.get("/actuator/cluster").status == 404
                assert not any(samples(server, "cluster").values())
        listener.settimeout(0.5)
        with pytest.raises(TimeoutError):
            listener.accept()

"""Senders and receivers all over a cluster, and the reckoning afterwards: lost, doubled, stray, torn, swapped, let in.

    with Traffic(cluster) as traffic:
        ... whatever shall be survived ...
        traffic.settle()
    traffic.check()

Receivers are spread over the nodes, and connect elsewhere when their socket ends. From each node sends somebody by REST,
by WebSocket in both grammars, and by REST with acknowledge. Every message has a number of its sender and a checksum.
All of it lives in one thread with an asyncio loop; the test itself stays outside and does the damage."""

import asyncio
import base64
import collections
import contextlib
import json
import os
import random
import struct
import threading
import time
import urllib.parse
import zlib

from frames import CLOSE, PING, PONG, TEXT, frame

ANSWER_S = 30
BROKEN = (OSError, EOFError, asyncio.TimeoutError)


class Refused(OSError):
    """An answer that is not the one hoped for."""

    def __init__(self, status, body=b""):
        super().__init__(f"{status} {body[:200]!r}")
        self.status = status


# ---- one connection each ------------------------------------------------------------------------------


class Rest:
    """A keep-alive connection."""

    def __init__(self, address):
        self.address = address
        self.writer = None

    async def post(self, path, body):
        """(status, body)"""
        if self.writer is None:
            self.reader, self.writer = await asyncio.open_connection(*self.address)
        payload = json.dumps(body).encode()
        self.writer.write(b"POST %s HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                          % (path.encode(), len(payload), payload))
        try:
            head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), ANSWER_S)
            fields = head.decode().lower().split("\r\n")
            length = next((int(line.split(":")[1]) for line in fields if line.startswith("content-length:")), 0)
            answer = await self.reader.readexactly(length)
        except BaseException:
            self.close()
            raise
        if "connection: close" in fields:
            self.close()
        return int(head.split()[1]), answer

    def close(self):
        if self.writer is not None:
            self.writer.close()
            self.writer = None


async def open_connection(rest, who, prefix="", instance=None):
    """The answer of /open-connection at an address."""
    door = Rest(rest)
    try:
        body = {"client": who} if instance is None else {"client": who, "pusherInstanceId": instance}
        status, answer = await door.post(prefix + "/open-connection", body)
        if status != 200:
            raise Refused(status, answer)
        return json.loads(answer)
    finally:
        door.close()


class Socket:
    """A WebSocket."""

    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, url):
        parts = urllib.parse.urlsplit(url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=1 << 21)
        try:
            key = base64.b64encode(os.urandom(16)).decode()
            writer.write(f"GET {parts.path} HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                         f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode())
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), ANSWER_S)
            if head.split()[1] != b"101":
                raise Refused(int(head.split()[1]))
        except BaseException:
            writer.close()
            raise
        return cls(reader, writer)

    def say(self, text):
        self.writer.write(frame(TEXT, text))

    async def texts(self):
        """Each text; ends with the connection, and then `code` is the Close frame's."""
        self.code = None
        with contextlib.suppress(*BROKEN):
            while True:
                first, length = await self.reader.readexactly(2)
                if length == 126:
                    length = struct.unpack(">H", await self.reader.readexactly(2))[0]
                elif length == 127:
                    length = struct.unpack(">Q", await self.reader.readexactly(8))[0]
                payload = await self.reader.readexactly(length)
                if first & 15 == TEXT:
                    yield payload.decode()
                elif first & 15 == PING:
                    self.writer.write(frame(PONG, payload))
                elif first & 15 == CLOSE:
                    self.code = struct.unpack(">H", payload[:2])[0] if payload else 1005
                    self.writer.write(frame(CLOSE, payload[:2]))
                    return

    def close(self):
        self.writer.close()


# ---- what is kept of it --------------------------------------------------------------------------------


class Message:
    __slots__ = ("key", "kind", "who", "text", "node", "begun", "answered", "status", "wanted", "got")

    def __init__(self, key, kind, who, text, node, wanted):
        self.key, self.kind, self.who, self.text, self.node = key, kind, who, text, node
        self.begun = time.monotonic()
        self.answered = self.status = None
        self.wanted = wanted  # receivers it is for; of "any" one of them
        self.got = []  # (receiver, session)

    def __repr__(self):
        return (f"{self.kind} {self.key} from node {self.node} at {self.begun:.3f}, answered {self.status} after "
                f"{(self.answered or 0) - self.begun:.3f} s, for {sorted(self.wanted)[:6]}, got by "
                f"{[(receiver.number, session) for receiver, session in self.got]}")


class Session:
    def __init__(self, node):
        self.node = node
        self.opened = time.monotonic()
        self.closed = self.code = None
        self.last = {}  # sender -> number of its last message

    def __repr__(self):
        return f"node {self.node} {self.opened:.3f}..{self.closed and round(self.closed, 3)} {self.code or ''}"


class Receiver:
    def __init__(self, number, node, workspace, mute=False):
        self.number = number
        self.node = node
        self.mute = mute  # acknowledges nothing
        self.identity = {"workSpaceId": workspace, "accountId": f"account-{number}", "deviceId": f"device-{number}",
                         "applicationId": f"EVERY-{number % 3}"}
        self.sessions = []
        self.acknowledged = set()  # keys

    def is_meant(self, who):
        return (all(not who.get(name) or who[name] == own for name, own in self.identity.items())
                and self.identity not in who.get("exclude", []))

    def stays(self, since, until):
        """One session all the while."""
        return any(one.opened <= since and (one.closed is None or one.closed > until) for one in self.sessions)


def text_of(sender, number, padding):
    body = f"{sender}/{number}/{padding}"
    return f"{body}/{zlib.crc32(body.encode()):08x}"


def key_of(text):
    """(sender, number); None: the text is not one of ours, or damaged."""
    body, _, crc = text.rpartition("/")
    parts = body.split("/")
    if len(parts) != 3 or crc != f"{zlib.crc32(body.encode()):08x}":
        return None
    return parts[0], int(parts[1])


# ---- the traffic ----------------------------------------------------------------------------------------


class Traffic:
    KINDS = ["direct"] * 6 + ["all", "some", "but", "any"]
    count = 0

    def __init__(self, cluster, each=3, pause=0.02, ways=("rest", "v1", "v2", "acked"), door=None, seed=None, mute=True):
        """each: receivers per node. door: (REST address, path prefix) where receivers ask for a new connection."""
        self.cluster = cluster
        self.pause = pause
        self.ways = ways
        self.door = door
        self.seed = int.from_bytes(os.urandom(4), "big") if seed is None else seed
        self.random = random.Random(self.seed)
        self.addresses = {node.number: node.rest for node in cluster}
        count = len(self.addresses)
        Traffic.count += 1
        self.workspace = f"traffic-{Traffic.count}"
        self.receivers = [Receiver(i, i % count, self.workspace) for i in range(each * count)]
        if mute and "acked" in ways:
            self.receivers.append(Receiver(len(self.receivers), count - 1, self.workspace, mute=True))
        self.messages = {}
        self.odd = []  # texts that nobody sent, and other surprises
        self.swapped = []
        self.sending = self.reconnecting = True
        self.away = set()  # nodes that take no new clients, by the test's word
        self.numbers = collections.Counter()
        self.failure = None
        self.excuse = lambda message, receiver: False  # what is not counted as lost

    def __enter__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        try:
            self._wait(lambda: all(receiver.sessions for receiver in self.receivers), 60)
            self._wait(lambda: {(m.node, m.key[0][:2]) for m in list(self.messages.values()) if m.status in (200, None)}
                       >= {(number, way[:2]) for number in self.addresses for way in self.ways}, 60)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *unused):
        self.sending = self.reconnecting = False

        def cancel():
            for task in asyncio.all_tasks(self.loop):
                task.cancel()

        if self.thread.is_alive():
            with contextlib.suppress(RuntimeError):
                self.loop.call_soon_threadsafe(cancel)
            self.thread.join(20)

    def _run(self):
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_until_complete(self._all())
        except asyncio.CancelledError:
            pass
        except Exception as failure:  # pylint: disable=broad-except
            self.failure = failure
        finally:
            left = asyncio.all_tasks(self.loop)
            for task in left:
                task.cancel()
            self.loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            self.loop.run_until_complete(asyncio.sleep(0.05))  # transports close in turns to come
            self.loop.close()

    async def _all(self):
        tasks = [asyncio.create_task(self._receive(one)) for one in self.receivers]
        while not all(one.sessions for one in self.receivers):
            await asyncio.sleep(0.01)
        ways = {"rest": self._send_rest, "acked": self._send_acked, "v1": self._send_socket, "v2": self._send_socket}
        tasks += [asyncio.create_task(self._keep(ways[way], number, way)) for number in self.addresses for way in self.ways]
        for done in asyncio.as_completed(tasks):
            await done

    def _wait(self, true, seconds):
        until = time.monotonic() + seconds
        while not true():
            assert self.failure is None, repr(self.failure)
            assert time.monotonic() < until, "waited in vain"
            time.sleep(0.02)

    # -- receiving ------------------------------------------------------------------------------------

    async def _receive(self, receiver):
        node = receiver.node
        while self.reconnecting:
            try:
                session, sock = await self._connect(receiver, node)
            except BROKEN:
                await asyncio.sleep(0.05)
                node = self.random.choice([number for number in self.addresses if number not in self.away])
                continue
            receiver.sessions.append(session)
            receiver.node = session.node
            try:
                async for text in sock.texts():
                    self._got(receiver, session, sock, text)
            finally:
                session.closed, session.code = time.monotonic(), sock.code
                sock.close()
            others = [number for number in self.addresses if number != node and number not in self.away]
            node = self.random.choice(others or list(self.addresses))

    async def _connect(self, receiver, node):
        if self.door:
            # whoever answers there says which node it is to be
            answer = await open_connection(self.door[0], receiver.identity, self.door[1])
        else:
            answer = await open_connection(self.addresses[node], receiver.identity)
        sock = await Socket.open(answer["externalAdvertisedUrl"])
        return Session(int(answer["pusherInstanceId"].rpartition("-")[2])), sock

    def _got(self, receiver, session, sock, text):
        prefix, mark, rest = text.partition("@@")
        if mark:
            text = rest
        key = key_of(text)
        message = self.messages.get(key)
        if message is None or text != message.text:
            self.odd.append(f"torn or of nobody: {text[:100]!r} at {receiver.number}")
            return
        message.got.append((receiver, session))
        if mark and not receiver.mute:
            receiver.acknowledged.add(key)
            words = {"messageId": prefix}
            if key[1] % 2:
                sock.say(json.dumps({"command": "ACKNOWLEDGE", "metaData": words}))
            else:
                sock.say(f"a{key[1]}@@ACKNOWLEDGE@@{json.dumps(words)}")
        if message.begun > session.opened:
            # findAny has an order of its own: of one sender and one filter
            sender = (key[0], message.kind == "any")
            if session.last.get(sender, -1) >= key[1]:
                self.swapped.append((message.kind, f"{message} behind {session.last[sender]} at {receiver.number}, {session}"))
            session.last[sender] = key[1]

    # -- sending --------------------------------------------------------------------------------------

    async def _keep(self, send, node, way):
        """One sender at one node; when its connection ends, another one with another name."""
        life = 0
        while self.sending:
            with contextlib.suppress(*BROKEN):
                await send(node, f"{way}-{node}.{life}", way)
            life += 1
            await asyncio.sleep(0.1)

    def _next(self, node, sender, kind=None):
        kind = kind or self.random.choice(self.KINDS)
        number = self.numbers[sender]
        self.numbers[sender] += 1
        chosen = self.random.choice([one for one in self.receivers if kind == "acked" or not one.mute])
        who = {"workSpaceId": self.workspace}
        if kind in ("direct", "acked"):
            who = chosen.identity
        elif kind == "some":
            who["applicationId"] = chosen.identity["applicationId"]
        elif kind == "but":
            who["exclude"] = [chosen.identity]
        elif kind == "any":
            who["findAny"] = True
        wanted = {one.number for one in self.receivers if one.is_meant(who)}
        padding = "." * self.random.choice((0, 10, 100, 1000, 10000))
        message = Message((sender, number), kind, who, text_of(sender, number, padding), node, wanted)
        self.messages[message.key] = message
        return message

    @staticmethod
    def _done(message, status):
        message.answered = time.monotonic()
        message.status = status

    async def _send_rest(self, node, sender, _):
        connection = Rest(self.addresses[node])
        try:
            while self.sending:
                message = self._next(node, sender)
                try:
                    status, _ = await connection.post("/send-notification", {
                        "filter": message.who, "message": message.text, "preserveOrder": message.key[1] % 2 == 0})
                    self._done(message, status)
                except BROKEN as failure:
                    self._done(message, type(failure).__name__)
                    raise
                if connection.writer is None:
                    return
                await asyncio.sleep(self.pause)
        finally:
            connection.close()

    async def _send_acked(self, node, sender, _):
        connection = Rest(self.addresses[node])
        try:
            while self.sending:
                message = self._next(node, sender, "acked")
                try:
                    status, _ = await connection.post("/send-notification-with-acknowledge", {
                        "id": f"{sender}-{message.key[1]}", "client": message.who, "message": message.text})
                    self._done(message, status)
                except BROKEN as failure:
                    self._done(message, type(failure).__name__)
                    raise
                if connection.writer is None:
                    return
                await asyncio.sleep(self.pause)
        finally:
            connection.close()

    async def _send_socket(self, node, sender, way):
        who = {"workSpaceId": "senders", "accountId": sender, "deviceId": "d", "applicationId": "SENDER"}
        answer = await open_connection(self.addresses[node], who)
        sock = await Socket.open(answer["externalAdvertisedUrl"])
        reading = asyncio.create_task(self._answers(sock, sender))
        try:
            while self.sending and not reading.done():
                message = self._next(node, sender)
                words = {"filter": message.who, "message": message.text}
                if way == "v1":
                    sock.say(json.dumps({"command": "SEND_MESSAGE", "metaData": words}))
                else:
                    sock.say(f"{message.key[1]}@@SEND_MESSAGE@@{json.dumps(words)}")
                await sock.writer.drain()
                await asyncio.sleep(self.pause)
            if way == "v2":  # for the last answers
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(asyncio.shield(reading), 1)
        finally:
            reading.cancel()
            sock.close()

    async def _answers(self, sock, sender):
        async for text in sock.texts():
            parts = text.split("@@", 2)
            message = self.messages.get((sender, int(parts[0]))) if parts[0].isdigit() else None
            if message is None or parts[1] != "RESPONSE" or message.status is not None:
                self.odd.append(f"{sender} is told {text[:100]!r}")
            else:
                self._done(message, 200 if len(parts) == 2 else 503)
                if len(parts) == 3 and not json.loads(parts[2]).get("error"):
                    self.odd.append(f"{sender} is told {text[:100]!r}")

    # -- what can be asked while it goes on -----------------------------------------------------------

    def since(self, when):
        """The messages begun since then, newest first."""
        for message in reversed(list(self.messages.values())):
            if message.begun < when:
                return
            yield message

    def pairs(self, when):
        """(sender's node, receiver's node) of direct messages begun since then, accepted and received."""
        return {(message.node, session.node) for message in self.since(when) if message.kind == "direct"
                and message.status == 200 for _, session in list(message.got)}

    def wait_until_back(self, nodes=None, wait=30, since=None):
        """Until from each of these nodes to each direct messages pass; how long after `since` that was."""
        nodes = sorted(self.cluster.nodes if nodes is None else nodes)
        since = time.monotonic() if since is None else since
        wanted = {(one, other) for one in nodes for other in nodes
                  if any(r.sessions and r.sessions[-1].node == other and r.sessions[-1].closed is None for r in self.receivers)}
        while not wanted <= (pairs := self.pairs(since)):
            assert time.monotonic() < since + wait, f"nothing passes between {sorted(wanted - pairs)}"
            time.sleep(0.05)
        return time.monotonic() - since

    def statuses(self, since=0.0, until=float("inf"), kinds=None):
        return collections.Counter(m.status for m in self.since(since) if m.begun < until and (not kinds or m.kind in kinds))

    def closed(self):
        """Sessions that have ended."""
        return [session for one in self.receivers for session in one.sessions if session.closed is not None]

    # -- the reckoning ---------------------------------------------------------------------------------

    def settle(self, quiet=0.5, wait=20):
        """No more is sent; everything that has to arrive has time to; then it has to stay quiet."""
        self.sending = False
        until = time.monotonic() + wait
        while self.lost() and time.monotonic() < until:
            time.sleep(0.05)
        time.sleep(quiet)
        self.__exit__()

    def died(self, number, since, until):
        return any(who == number and since - 0.5 <= when <= until for who, when in self.cluster.deaths)

    def lost(self, flight=3.0, silent=False):
        """Accepted, and not received by somebody who was connected all the while, though no node died.
        silent: also those by v1, which nobody answers, when nothing was refused."""
        found = []
        for message in list(self.messages.values()):
            if message.kind == "acked" or not (message.status == 200 or silent and message.status is None):
                continue
            until = (message.answered or message.begun) + flight
            if self.died(message.node, message.begun, until):
                continue
            got = {receiver.number for receiver, _ in list(message.got)}
            missing = message.wanted - got
            if message.kind == "any":
                if got or any(who and self.died(who[0], message.begun, until) for who in self.cluster.deaths):
                    continue
                if not all(self.receivers[one].stays(message.begun, until) and not self.excuse(message, self.receivers[one])
                           for one in missing):
                    continue
                found.append(message)
            elif any(self.receivers[one].stays(message.begun, until) and not self.excuse(message, self.receivers[one])
                     for one in missing):
                found.append(message)
        return found

    def verdict(self, silent, turns):
        messages = list(self.messages.values())
        counts = {"odd": self.odd, "lost": self.lost(silent=silent)}
        counts["swapped"] = [text for kind, text in self.swapped if turns or kind != "any"]
        counts["doubled"] = [m for m in messages if len(m.got) > (1 if m.kind == "any" else len({r.number for r, _ in m.got}))]
        counts["stray"] = [m for m in messages if not {r.number for r, _ in m.got} <= m.wanted]
        counts["let in"] = [m for m in messages if m.status == 503 and m.got and m.kind != "acked"]
        counts["false 200"] = [m for m in messages if m.kind == "acked" and m.status == 200
                               and not any(m.key in r.acknowledged for r in self.receivers if r.number in m.wanted)]
        return counts

    def counted(self):
        """What the nodes themselves say that they let fall."""
        found = collections.Counter()
        for node in self.cluster:
            with contextlib.suppress(OSError):
                found.update({name.removeprefix("pushca_"): value for name, value in node.metrics().items()
                              if value and name.startswith(("pushca_dropped", "pushca_refused", "pushca_sockets_closed"))})
        return dict(found)

    def check(self, allowed=(200,), acked=(200, 408), silent=False, turns=True, tell=None):
        """allowed: statuses a plain message may have had; besides, of a node that ended any failure. turns: findAny kept
        its order, too, as it does while the same node keeps the turn."""
        assert self.failure is None, repr(self.failure)
        counts = self.verdict(silent, turns)
        counts["answered otherwise"] = [
            m for m in self.messages.values()
            if m.status is not None and m.status not in (acked if m.kind == "acked" else allowed)
            and not ((m.status == 503 or isinstance(m.status, str))
                     and self.cluster.was_absent(m.node, m.begun, m.answered))]
        counts["hung"] = [m for m in self.messages.values() if m.status == "TimeoutError"]
        if tell:
            passed = sum(len(m.got) for m in self.messages.values())
            if any(counts.values()):
                tell(f"dropped, refused, closed: {self.counted()}")
            tell(f"{len(self.messages)} messages, {passed} received, answered {dict(self.statuses())}: "
                 + ", ".join(f"{len(some)} {name}" for name, some in counts.items()))
        assert not any(counts.values()), f"seed {self.seed}: " + "; ".join(
            f"{len(some)} {name}: {some[:3]}" for name, some in counts.items() if some)

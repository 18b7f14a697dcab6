#!/usr/bin/env python3
"""One abuse of a running server for a given time, by sockets of its own; the other side of `./bench abuse`.

  attack.py NAME --port WEBSOCKET --http-port REST --seconds S

Prints one line of JSON: what it could do. It runs at idle priority, on the time that nobody else wants."""

import argparse
import base64
import itertools
import json
import os
import selectors
import socket
import struct
import sys
import time

HOST = "127.0.0.1"
MASK = b"\x12\x34\x56\x78"
SLOW_STEP_S = 0.05  # between two bytes of a slow peer
FLOODERS = 50
SLOW_PEERS = 500
PIECE = 64 * 1024
# The generator's core is the attacker's, too, and the kernel does not leave a long call for it: small pieces, and
# little that waits in the kernel, whose memory is not what is attacked.
SEND_BYTES = 64 * 1024
KERNEL_BYTES = 64 * 1024


def frame(opcode, payload, final=True):
    """A masked frame as a client sends it."""
    head = bytes([(0x80 if final else 0) | opcode])
    if len(payload) < 126:
        head += bytes([0x80 | len(payload)])
    elif len(payload) < 65536:
        head += struct.pack("!BH", 0x80 | 126, len(payload))
    else:
        head += struct.pack("!BQ", 0x80 | 127, len(payload))
    mask = (MASK * (len(payload) // 4 + 1))[:len(payload)]
    body = int.from_bytes(payload, "big") ^ int.from_bytes(mask, "big")
    return head + MASK + body.to_bytes(len(payload), "big")


def post(path, body, length=None):
    return (f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body) if length is None else length}\r\n\r\n").encode() + body


def handshake(token):
    key = base64.b64encode(os.urandom(16)).decode()
    return (f"GET /{token} HTTP/1.1\r\nHost: {HOST}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n").encode()


class Peer:
    """A non-blocking socket with bytes to send; `again` gives more when they have left."""

    def __init__(self, attack, port, first=b"", again=None, reads=True):
        self.attack, self.again, self.reads = attack, again, reads
        self.out = memoryview(first)
        self.got = 0
        self.head = b""
        self.is_open = False
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BYTES)
        self.socket.connect_ex((HOST, port))
        self.mask = 0
        attack.peers.add(self)
        self.watch(selectors.EVENT_WRITE)

    def watch(self, mask):
        if mask == self.mask:
            return
        if self.mask and mask:
            self.attack.selector.modify(self.socket, mask, self)
        elif mask:
            self.attack.selector.register(self.socket, mask, self)
        else:
            self.attack.selector.unregister(self.socket)
        self.mask = mask

    def want(self):
        self.watch((selectors.EVENT_READ if self.reads else 0)
                   | (selectors.EVENT_WRITE if self.out or self.again else 0))

    def close(self):
        if self in self.attack.peers:
            self.attack.peers.discard(self)
            self.watch(0)
            self.socket.close()

    def on_event(self, mask):
        try:
            if mask & selectors.EVENT_READ:
                data = self.socket.recv(256 * 1024)
                if not data:
                    raise ConnectionResetError
                self.got += len(data)
                if len(self.head) < 1024:
                    self.head += data[:1024]
            if mask & selectors.EVENT_WRITE:
                self.is_open = True
                if not self.out and self.again:
                    self.out = memoryview(self.again(self))
                if self.out:
                    sent = self.socket.send(self.out[:SEND_BYTES])
                    self.attack.sent += sent
                    self.out = self.out[sent:]
            self.want()
        except BlockingIOError:
            pass
        except OSError:
            self.attack.ended += 1
            self.close()


class Attack:
    """The peers of one abuse, and the loop that moves them."""

    def __init__(self, options):
        self.port, self.http_port = options.port, options.http_port
        self.until = time.monotonic() + options.seconds
        self.selector = selectors.DefaultSelector()
        self.peers = set()
        self.sent = self.ended = self.done = 0
        self.numbers = itertools.count()

    def token(self, name):
        body = json.dumps({"client": self.identity(name)}).encode()
        with socket.create_connection((HOST, self.http_port), timeout=10) as s:
            s.sendall(post("/open-connection", body))
            answer = s.recv(65536)
        head, _, text = answer.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            return None
        return json.loads(text)["externalAdvertisedUrl"].rpartition("/")[2]

    @staticmethod
    def identity(name):
        return {"workSpaceId": "abuse", "accountId": name, "deviceId": "d", "applicationId": "ABUSE"}

    def clients(self, count, again, reads=True):
        """Sockets that have asked for an upgrade and go on with what `again` gives."""
        return [Peer(self, self.port, handshake(self.token(f"a{i}")), again, reads) for i in range(count)]

    def pump(self, seconds):
        end = min(self.until, time.monotonic() + seconds)
        while True:
            now = time.monotonic()
            if now >= end:
                return now < self.until
            for key, mask in self.selector.select(end - now):
                key.data.on_event(mask)

    # ---- the abuses ----

    def keep(self, count, make):
        """So many peers at any time."""
        while self.pump(0.01):
            while len(self.peers) < count:
                make()

    def flood(self, piece):
        """Clients that send the same again and again, and read what comes back."""
        self.clients(FLOODERS, lambda peer: piece)
        while self.pump(0.1):
            while len(self.peers) < FLOODERS:
                self.clients(1, lambda peer: piece)

    def slow(self, port, first, byte):
        peers = []
        while True:
            peers = [p for p in peers if p in self.peers]
            while len(peers) < SLOW_PEERS:
                peers.append(Peer(self, port, first))
            if not self.pump(SLOW_STEP_S):
                return
            for peer in peers:
                if peer in self.peers and not peer.out:
                    peer.out = memoryview(byte)
                    peer.want()

    def slow_heads(self):
        self.slow(self.http_port, b"POST /send-notification HTTP/1.1\r\nHost: a\r\nX: ", b"x")

    def slow_bodies(self):
        self.slow(self.http_port, post("/send-notification", b"{", 1000000), b" ")

    def slow_handshakes(self):
        self.slow(self.port, b"GET /token HTTP/1.1\r\nHost: a\r\nX: ", b"x")

    def never_reading(self):
        """Sockets that read nothing, and messages of 16 KiB to them all the time."""
        names = [f"a{i}" for i in range(20)]
        self.clients(len(names), None, reads=False)
        rounds = itertools.cycle(names)

        def more(peer):
            return post("/send-notification", json.dumps(
                {"filter": self.identity(next(rounds)), "message": "x" * 16384}).encode())
        Peer(self, self.http_port, b"", more)
        while self.pump(0.2):
            while len(self.peers) < len(names) + 1:
                self.clients(1, None, reads=False)

    def half_open(self):
        """Clients that fall silent: neither pongs nor Close."""
        for client in self.clients(SLOW_PEERS, None):
            client.reads = False
        while self.pump(0.2):
            while len(self.peers) < SLOW_PEERS:
                self.clients(1, None, reads=False)

    def ping_flood(self):
        self.flood(frame(9, b"") * (PIECE // 6))

    def tiny_fragments(self):
        self.flood((frame(1, b"x", False) + frame(0, b"y", False) * 5000 + frame(0, b"z")))

    def unknown_commands(self):
        self.flood(b"".join(frame(1, json.dumps(
            {"command": f"NONSENSE{i}", "id": str(i), "metaData": {}}).encode()) for i in range(600)))

    def connection_storm(self):
        """Connects, handshakes and closes, as fast as one can."""
        token = self.token("storm")

        def make():
            self.done += 1
            Peer(self, self.port, handshake(token))
        while self.pump(0.001):
            for peer in [p for p in self.peers if p.got]:
                peer.close()
            while len(self.peers) < 100:
                make()

    def descriptors(self):
        """As many connections as there may be, held, and more all the time."""
        while self.pump(0.002):
            for _ in range(20):
                if len(self.peers) < 6000:
                    Peer(self, next(self.numbers) % 2 and self.port or self.http_port)

    def memory(self):
        """Bodies and messages that are never finished."""
        body = post("/send-notification", b'{"message":"' + b"x" * 900000, 1000000)
        self.keep(300, lambda: Peer(self, self.http_port, body))

    def huge_json(self):
        """Bodies of a mebibyte: many small values, and many levels."""
        flat = b'{"filter":{"accountId":"nobody"},"message":"m","x":[' + b"1," * 500000 + b"1]}"
        deep = b'{"x":' + b"[" * 500000 + b"]" * 500000 + b"}"
        both = itertools.cycle([post("/send-notification", flat), post("/send-notification", deep)])
        self.keep(4, lambda: Peer(self, self.http_port, b"", lambda peer: next(both)))


ABUSES = {name.replace("_", "-"): getattr(Attack, name) for name in (
    "slow_heads", "slow_bodies", "slow_handshakes", "never_reading", "half_open", "ping_flood", "tiny_fragments",
    "unknown_commands", "connection_storm", "descriptors", "memory", "huge_json")}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=ABUSES)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--http-port", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    options = parser.parse_args()
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    attack = Attack(options)
    ABUSES[options.name](attack)
    json.dump({"sent_bytes": attack.sent, "ended": attack.ended, "connects": attack.done, "open": len(attack.peers)},
              sys.stdout)


if __name__ == "__main__":
    main()

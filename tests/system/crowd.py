"""A crowd of WebSocket clients in one process: plain sockets and epoll, no library, so that ten thousand of
them cost little. Each client keeps the texts it got, in order."""

import base64
import json
import os
import selectors
import socket
import struct
import time
import urllib.parse


class Client:
    def __init__(self, identity, sock):
        self.identity = identity
        self.sock = sock
        self.buffer = b""
        self.open = False
        self.texts = []
        self.close_code = None
        self.gone = False


def identity(number, **overrides):
    who = {
        "workSpaceId": "crowd",
        "accountId": f"account-{number}",
        "deviceId": f"device-{number}",
        "applicationId": "CROWD",
    }
    who.update(overrides)
    return who


def source_address(number):
    """Several loopback addresses, so that ports do not run out and the kernel's hash sees variety."""
    return (f"127.0.{1 + number // 2000}.{1 + number % 200}", 0)


class Crowd:
    def __init__(self, server, bind=True):
        self.server = server
        self.bind = bind
        self.selector = selectors.DefaultSelector()
        self.clients = []
        self.rest = None

    # -- REST over one keep-alive connection ---------------------------------------------------

    def post(self, path, body, wait=30):
        if self.rest is None:
            self.rest = socket.create_connection(self.server.rest, timeout=wait)
            if self.server.tls:
                self.rest = self.server.tls.wrap_socket(self.rest, server_hostname=self.server.rest[0])
            self.rest_buffer = b""
        payload = json.dumps(body).encode()
        self.rest.sendall(
            b"POST %s HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            % (path.encode(), len(payload))
            + payload
        )
        return self._answer()

    def _answer(self):
        while b"\r\n\r\n" not in self.rest_buffer:
            self.rest_buffer += self._more()
        head, rest = self.rest_buffer.split(b"\r\n\r\n", 1)
        fields = dict(
            line.split(": ", 1) for line in head.decode().lower().split("\r\n")[1:]
        )
        length = int(fields.get("content-length", 0))
        while len(rest) < length:
            rest += self._more()
        self.rest_buffer = rest[length:]
        return int(head.split()[1]), rest[:length]

    def _more(self):
        data = self.rest.recv(65536)
        if not data:
            raise ConnectionError("the REST connection was closed")
        return data

    # -- WebSockets ----------------------------------------------------------------------------

    def connect(self, identities, together=500, seconds=120):
        """Opens one socket per identity, at most `together` handshakes at a time."""
        waiting = list(enumerate(identities, len(self.clients)))
        waiting.reverse()
        first = len(self.clients)
        pending = 0
        deadline = time.monotonic() + seconds
        while waiting or pending:
            while waiting and pending < together:
                number, who = waiting.pop()
                self.clients.append(self._begin(number, who))
                pending += 1
            self.pump(0.2)
            pending = sum(1 for c in self.clients[first:] if not c.open and not c.gone)
            if time.monotonic() > deadline:
                raise TimeoutError(f"{pending} handshakes unanswered")
        refused = [c for c in self.clients[first:] if c.gone]
        assert not refused, f"{len(refused)} clients were not let in"
        return self.clients[first:]

    def _begin(self, number, who):
        status, body = self.post("/open-connection", {"client": who})
        assert status == 200, (status, body)
        url = urllib.parse.urlsplit(json.loads(body)["externalAdvertisedUrl"])
        sock = socket.socket()
        if self.bind:
            sock.bind(source_address(number))
        sock.connect(self.server.ws)
        sock.setblocking(False)
        key = base64.b64encode(os.urandom(16)).decode()
        sock.send(
            (
                f"GET {url.path} HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
            ).encode()
        )
        client = Client(who, sock)
        self.selector.register(sock, selectors.EVENT_READ, client)
        return client

    def pump(self, seconds):
        """Reads what arrives; returns how many texts that were."""
        got = 0
        for key, _ in self.selector.select(seconds):
            got += self._read(key.data)
        return got

    def pump_until(self, done, seconds):
        deadline = time.monotonic() + seconds
        while not done():
            if time.monotonic() > deadline:
                return False
            self.pump(0.1)
        return True

    def _read(self, client):
        try:
            data = client.sock.recv(1 << 20)
        except (BlockingIOError, InterruptedError):
            return 0
        except ConnectionError:
            data = b""
        if not data:
            self.leave(client)
            return 0
        client.buffer += data
        if not client.open:
            head, separator, rest = client.buffer.partition(b"\r\n\r\n")
            if not separator:
                return 0
            if b" 101 " not in head.split(b"\r\n")[0]:
                self.leave(client)
                return 0
            client.open = True
            client.buffer = rest
        return self._frames(client)

    def _frames(self, client):
        got = 0
        while True:
            buffer = client.buffer
            if len(buffer) < 2:
                return got
            opcode, length, head = buffer[0] & 15, buffer[1], 2
            assert not length & 128, "a server must not mask"
            if length == 126:
                if len(buffer) < 4:
                    return got
                length, head = struct.unpack(">H", buffer[2:4])[0], 4
            elif length == 127:
                if len(buffer) < 10:
                    return got
                length, head = struct.unpack(">Q", buffer[2:10])[0], 10
            if len(buffer) < head + length:
                return got
            payload = buffer[head : head + length]
            client.buffer = buffer[head + length :]
            if opcode == 1:
                client.texts.append(payload.decode())
                got += 1
            elif opcode == 9:
                self._frame(client, 10, payload)
            elif opcode == 8:
                client.close_code = struct.unpack(">H", payload[:2])[0] if payload else 1005

    @staticmethod
    def _frame(client, opcode, payload):
        mask = os.urandom(4)
        if len(payload) < 126:
            head = struct.pack(">BB", 128 | opcode, 128 | len(payload))
        elif len(payload) < 65536:
            head = struct.pack(">BBH", 128 | opcode, 254, len(payload))
        else:
            head = struct.pack(">BBQ", 128 | opcode, 255, len(payload))
        masked = bytes(b ^ mask[i % 4] for i, b in enumerate(payload))
        client.sock.setblocking(True)
        client.sock.sendall(head + mask + masked)
        client.sock.setblocking(False)

    def say(self, client, text):
        self._frame(client, 1, text.encode())

    def ignore(self, client):
        """The client stops reading: its receive buffer fills, as when a phone hangs."""
        self.selector.unregister(client.sock)

    def leave(self, client):
        if not client.gone:
            client.gone = True
            try:
                self.selector.unregister(client.sock)
            except KeyError:
                pass
            client.sock.close()

    def close(self):
        for client in self.clients:
            self.leave(client)
        if self.rest is not None:
            self.rest.close()
        self.selector.close()

"""ws-echo, started on a free port next to the program under test, and a strict listener for what it says."""

import base64
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess

from frames import CLOSE
from pushca import BINARY, STOP_S, parse_answer

ECHO = str(pathlib.Path(BINARY).with_name("ws-echo"))
PATIENCE_S = 30  # until something that must come is missed


class Echo:
    """`with Echo("key=value", ...) as echo`; leaving checks that it ended with status 0."""

    def __init__(self, *sets, config=None, environment=None):
        command = [ECHO, "--port", "0", "--address", "127.0.0.1"]
        if config:
            command += ["--config", str(config)]
        for one in sets:
            command += ["--set", one]
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env={**os.environ, **(environment or {})},
        )
        found = re.search(r"ready port=(\d+)", self.process.stderr.readline())
        if not found:
            self.process.kill()
            raise AssertionError("no ready line" + self.process.communicate()[1])
        self.address = ("127.0.0.1", int(found[1]))

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.process.send_signal(signal.SIGTERM)
        try:
            said = self.process.communicate(timeout=STOP_S)[1]
        except subprocess.TimeoutExpired:
            self.process.kill()
            said = self.process.communicate()[1]
        if kind is None:
            assert self.process.returncode == 0 and not said, said

    def peer(self, **options):
        return Peer(self.address, **options)


def handshake(target="/", **fields):
    """The octets of an opening handshake. A field that is None is left out, a list comes so many times."""
    lines = {
        "Host": "test",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        **{name.replace("_", "-"): value for name, value in fields.items()},
    }
    text = f"GET {target} HTTP/1.1\r\n"
    for name, value in lines.items():
        for one in value if isinstance(value, list) else [] if value is None else [value]:
            text += f"{name}: {one}\r\n"
    return text.encode() + b"\r\n"


class Peer:
    """A client after its handshake that takes nothing but frames as a server must send them."""

    def __init__(self, address, target="/", early=b"", holds=None):
        """early: octets behind the handshake. holds: what the kernel keeps of what was not read, about."""
        self.sock = socket.socket()
        if holds:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, holds)
        self.sock.settimeout(PATIENCE_S)
        self.sock.connect(address)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()
        self.sock.sendall(handshake(target) + early)
        while not (parsed := parse_answer(bytes(self.buffer))):
            assert self._more(), f"closed without an answer: {self.buffer!r}"
        assert parsed[0].status == 101, parsed
        self.buffer = bytearray(parsed[1])

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.sock.close()

    def send(self, data, chop=0):
        """chop: so many octets in one piece, each with a push behind it; 0: all at once."""
        if not chop:
            self.sock.sendall(data)
            return
        for at in range(0, len(data), chop):
            self.sock.sendall(data[at : at + chop])

    def receive(self):
        """(opcode, payload) of the next frame; None when the stream ends between frames, with a FIN."""
        if not self._has(2):
            assert not self.buffer, f"the stream ended inside a frame: {self.buffer!r}"
            return None
        first, second = self.buffer[:2]
        assert first & 0xF0 == 0x80, "final, and no reserved bit"
        assert second < 128, "unmasked"
        size = {126: 2, 127: 8}.get(second, 0)
        assert self._has(2 + size), "whole frames"
        length = int.from_bytes(self.buffer[2 : 2 + size], "big") if size else second
        assert size == (0 if length < 126 else 2 if length < 65536 else 8), "the shortest form"
        assert self._has(2 + size + length), "whole frames"
        payload = bytes(self.buffer[2 + size : 2 + size + length])
        del self.buffer[: 2 + size + length]
        return first & 15, payload

    def closes(self, code, answer=b""):
        """A Close with that code comes next, and then the end of the stream without anything from us but the answer."""
        opcode, payload = self.receive()
        assert opcode == CLOSE and payload[:2] == (struct.pack(">H", code) if code else b""), (opcode, payload)
        payload[2:].decode()
        self.send(answer)
        assert self.receive() is None

    def _has(self, count):
        while len(self.buffer) < count:
            if not self._more():
                return False
        return True

    def _more(self):
        more = self.sock.recv(1 << 18)  # a reset is an error
        self.buffer += more
        return bool(more)

"""WebSocket frames by hand, for what no well-behaved library would send."""

import os
import struct

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def frame(opcode, payload=b"", final=True, masked=True, length=None, reserved=0, mask=None, width=None):
    """length: what the header claims, if not the truth. width: bytes of the long form, if not the fewest."""
    if isinstance(payload, str):
        payload = payload.encode()
    claimed = len(payload) if length is None else length
    first = (128 if final else 0) | reserved << 4 | opcode
    bit = 128 if masked else 0
    if width is None:
        width = 0 if claimed < 126 else 2 if claimed < 65536 else 8
    if width == 0:
        head = struct.pack(">BB", first, bit | claimed)
    elif width == 2:
        head = struct.pack(">BBH", first, bit | 126, claimed)
    else:
        head = struct.pack(">BBQ", first, bit | 127, claimed)
    if not masked:
        return head + payload
    if mask is None:
        mask = os.urandom(4)
    long_mask = (mask * (len(payload) // 4 + 1))[: len(payload)]
    xored = int.from_bytes(payload, "big") ^ int.from_bytes(long_mask, "big")
    return head + mask + xored.to_bytes(len(payload), "big")


class Raw:
    """A WebSocket after a handshake by hand."""

    def __init__(self, server, who=None):
        url = server.open(who)
        answer, self.sock, self.buffer = server.handshake("/" + url.rsplit("/", 1)[1])
        assert answer.status == 101, answer

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def say(self, text):
        self.send(frame(TEXT, text))

    def receive(self, wait=10):
        """(opcode, payload) of the next frame; None at the end of the stream."""
        self.sock.settimeout(wait)
        head = self._take(2)
        if head is None:
            return None
        length = head[1] & 127
        assert head[0] & 128 and not head[1] & 128, "final and unmasked"
        if length == 126:
            length = struct.unpack(">H", self._take(2))[0]
        elif length == 127:
            length = struct.unpack(">Q", self._take(8))[0]
        return head[0] & 15, self._take(length)

    def text(self, wait=10):
        got = self.receive(wait)
        while got and got[0] == PING:
            got = self.receive(wait)
        assert got and got[0] == TEXT, got
        return got[1].decode()

    def close_code(self, wait=10):
        """Reads on to the Close frame and the end behind it."""
        while True:
            got = self.receive(wait)
            assert got is not None, "the stream ended without a Close frame"
            if got[0] == CLOSE:
                code = struct.unpack(">H", got[1][:2])[0] if got[1] else 1005
                break
        try:
            self.send(frame(CLOSE, got[1][:2]))
            assert self.receive(wait) is None
        except ConnectionError:
            pass
        return code

    def _take(self, count):
        while len(self.buffer) < count:
            more = self.sock.recv(1 << 20)
            if not more:
                return None
            self.buffer += more
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

"""What Redis says it has done: commands by name, bytes in and out, memory. Differences of it, and samples over a run."""

import re
import socket
import threading
import time

SAMPLE_S = 0.2
OUR_COMMANDS = ("info", "dbsize", "command", "ping")  # of whoever looks, not of the servers
CALLS = re.compile(r"^cmdstat_([^:]+):calls=(\d+)", re.MULTILINE)
FIELD = r"^{}:(\d+)"


class Redis:
    """A connection that asks INFO and DBSIZE, and knows what that has cost itself."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.sent = 0
        self.received = 0

    def close(self):
        self.socket.close()

    def ask(self, *words):
        """A bulk string as text, a number as a number."""
        parts = [f"${len(word)}\r\n{word}\r\n" for word in words]
        line = f"*{len(parts)}\r\n{''.join(parts)}".encode()
        self.socket.sendall(line)
        self.sent += len(line)
        data = b""
        while (whole := _whole(data)) is None:
            more = self.socket.recv(65536)
            if not more:
                raise OSError("Redis closed the connection")
            data += more
        self.received += len(data)
        return whole

    def counters(self):
        """{"calls": {command: times}, "in": bytes, "out": bytes, "memory": bytes} so far, without its own."""
        received = self.received
        text = self.ask("INFO", "everything")
        found = parse(text)
        found["in"] -= self.sent
        found["out"] -= received
        return found


def _whole(data):
    """The reply at the front, None while there is more to come."""
    head, end, rest = data.partition(b"\r\n")
    if not end:
        return None
    if head[:1] == b":":
        return int(head[1:])
    if head[:1] != b"$":
        raise OSError(f"Redis answered {head[:100]!r}")
    size = int(head[1:])
    return rest[:size].decode(errors="replace") if len(rest) >= size + 2 else None


def parse(text):
    return {"calls": {name.lower().replace("|", " "): int(times) for name, times in CALLS.findall(text)
                      if name.lower().partition("|")[0] not in OUR_COMMANDS},
            "in": _field(text, "total_net_input_bytes"), "out": _field(text, "total_net_output_bytes"),
            "memory": _field(text, "used_memory")}


def _field(text, name):
    found = re.search(FIELD.format(name), text, re.MULTILINE)
    return int(found[1]) if found else 0


def difference(after, before):
    """What happened in between; commands that did not happen are left out."""
    calls = {name: times - before["calls"].get(name, 0) for name, times in after["calls"].items()}
    return {"calls": {name: times for name, times in calls.items() if times},
            "in": after["in"] - before["in"], "out": after["out"] - before["out"]}


def scaled(cost, factor):
    return {"calls": {name: times * factor for name, times in cost["calls"].items()},
            "in": cost["in"] * factor, "out": cost["out"] * factor}


def sum_of(one, other):
    names = {**one["calls"], **other["calls"]}
    return {"calls": {name: one["calls"].get(name, 0) + other["calls"].get(name, 0) for name in names},
            "in": one["in"] + other["in"], "out": one["out"] + other["out"]}


def without(cost, idle, seconds):
    """The cost of what was done in so many seconds, without what they would have cost anyway. Never less than nothing."""
    left = sum_of(cost, scaled(idle, -seconds))
    return {"calls": {name: max(0, times) for name, times in left["calls"].items()},
            "in": max(0, left["in"]), "out": max(0, left["out"])}


def commands(cost):
    """Of all names. What a script calls counts as well, as Redis counts it: it is work, too."""
    return sum(cost["calls"].values())


class Sampler:
    """Counters of a Redis, five times a second while the context lasts; afterwards the difference of any two moments."""

    def __init__(self, port):
        self.redis = Redis(port)
        self.samples = []
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *unused):
        self.ended.set()
        self.thread.join()
        self.redis.close()

    def _run(self):
        while not self.ended.wait(SAMPLE_S):
            try:
                self.samples.append((time.monotonic(), self.redis.counters()))
            except OSError:
                return

    def between(self, begin, end):
        """(what it did, in how many seconds) inside of a window by the monotonic clock; None where that was not seen."""
        return between(self.samples, begin, end)


def between(samples, begin, end):
    """From the first sample in the window to the last one: what is before and after has work of its own."""
    inside = [sample for sample in samples if begin <= sample[0] <= end]
    if len(inside) < 2:
        return None
    (early, low), (late, high) = inside[0], inside[-1]
    return difference(high, low), late - early

"""Well-behaved clients beside an attack: what they get is compared, message for message, with what was accepted."""

import contextlib
import select
import threading
import time

from crowd import Crowd, identity


class Calm:
    """A crowd that gets messages all the time: one to all, some to one each, again and again."""

    def __init__(self, server, count, bind=True):
        """bind: from several loopback addresses."""
        self.server = server
        self.crowd = Crowd(server, bind)
        self.clients = self.crowd.connect([identity(i) for i in range(count)], together=50)
        self.expected = {client: [] for client in self.clients}
        self.number = 0
        self.refused = 0

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.crowd.close()

    def send(self, clients, who):
        self.number += 1
        text = f"message {self.number}"
        status, answer = self.crowd.post("/send-notification", {"filter": who, "message": text})
        if status == 200:
            for client in clients:
                self.expected[client].append(text)
        else:
            assert status == 429, (status, answer)
            self.refused += 1

    def live(self, seconds, refusals=False):
        """Some seconds of life, and then everything that was accepted has arrived: once, in order, with nobody gone."""
        self.refused = 0
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.send(self.clients, {"workSpaceId": "crowd"})
            for i in range(10):
                client = self.clients[(self.number * 7 + i) % len(self.clients)]
                self.send([client], client.identity)
            self.crowd.pump(0.02)
        self.settle()
        assert refusals or self.refused == 0

    def settle(self):
        self.crowd.pump_until(lambda: all(len(c.texts) >= len(self.expected[c]) for c in self.clients), 30)
        lost = sum(max(0, len(self.expected[c]) - len(c.texts)) for c in self.clients)
        gone = [c for c in self.clients if c.gone or c.close_code]
        wrong = [c for c in self.clients if c.texts != self.expected[c]]
        assert (lost, len(gone), len(wrong)) == (0, 0, 0)
        for client in self.clients:
            client.texts.clear()
            self.expected[client].clear()

    def metrics(self):
        """Asked on the connection that is open already: new ones may be refused."""
        self.crowd.rest.sendall(b"GET /actuator/prometheus HTTP/1.1\r\nHost: t\r\n\r\n")
        _, body = self.crowd._answer()
        lines = (line.rpartition(" ") for line in body.decode().splitlines() if line[:1] not in ("", "#"))
        return {name: float(value) for name, _, value in lines}

    def grown(self, before, name):
        return self.metrics()[name] - before[name]

    def wait_until(self, true_of, wait=20):
        """Goes on reading, because clients that do not are closed."""
        until = time.monotonic() + wait
        while not true_of(metrics := self.metrics()):
            assert time.monotonic() < until, {k: v for k, v in metrics.items() if v}
            self.crowd.pump(0.05)


@contextlib.contextmanager
def attack(function, *arguments, times=1):
    """Runs function(stop, *arguments) in so many threads until the block ends; what one raises is raised here."""
    stop = threading.Event()
    failures = []

    def body():
        try:
            function(stop, *arguments)
        except Exception as failure:  # pylint: disable=broad-except
            failures.append(failure)

    threads = [threading.Thread(target=body, daemon=True) for _ in range(times)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    if failures:
        raise failures[0]


def readable(socks, wait=0.0):
    """Those of them that have something to say; select would not take as many descriptors as there are."""
    return [sock for sock, events in _poll({sock: select.POLLIN for sock in socks}, wait) if events]


def ready(sock, reads, wait):
    """(readable, writable) of one socket."""
    for _, events in _poll({sock: select.POLLOUT | (select.POLLIN if reads else 0)}, wait):
        return bool(events & ~select.POLLOUT), bool(events & select.POLLOUT)
    return False, False


def _poll(wanted, wait):
    poll = select.poll()
    by_number = {sock.fileno(): sock for sock in wanted}
    for sock, events in wanted.items():
        poll.register(sock, events)
    return [(by_number[number], events) for number, events in poll.poll(wait * 1000)]

"""Real Redis for one test, on free ports and in a folder of its own: one server, Sentinels, or a Redis Cluster.

Each is used as `with Redis(folder) as redis:`; leaving ends whatever runs, frozen or not."""

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import time

import pytest

REDIS = shutil.which("redis-server", path="/usr/local/bin:/usr/bin")

needs_redis = pytest.mark.skipif(REDIS is None, reason="redis-server is not installed")

START_S = 20
_given = set()


def free_port():
    """A port below those the kernel gives to callers, so that nobody takes it while its server is down."""
    with contextlib.suppress(FileNotFoundError):
        lowest = int(open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii").read().split()[0])
        while True:
            port = random.SystemRandom().randrange(max(2000, lowest // 2), lowest)
            with socket.socket() as sock, contextlib.suppress(OSError):
                sock.bind(("0.0.0.0", port))
                if port not in _given:
                    _given.add(port)
                    return port
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class RedisError(Exception):
    """What Redis says behind a minus sign."""


class Link:
    """A connection that speaks RESP2."""

    def __init__(self, address, wait=10):
        self.sock = socket.create_connection(address, timeout=wait)
        self.file = self.sock.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.file.close()
        self.sock.close()

    def give(self, *words):
        words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        self.sock.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words))

    def take(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("Redis closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise RedisError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self.file.read(int(rest) + 2)[:-2].decode("utf-8", "surrogateescape")
        if kind == b"*":
            return None if rest == b"-1" else [self.take() for _ in range(int(rest))]
        return rest.decode()

    def ask(self, *words):
        self.give(*words)
        return self.take()


class Redis:
    """One server. Stopped and started again it has the same port, and nothing of what it knew."""

    def __init__(self, folder, *options, address="127.0.0.1", port=None, under=()):
        self.folder = folder
        self.address = (address, port or free_port())
        self.options = options
        self.under = under
        self.process = None
        self.frozen = False
        self.start()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.kill()

    @property
    def port(self):
        return self.address[1]

    @property
    def masters(self):
        return [self]

    def sets(self):
        """How a pusher is told."""
        return [f"pushca.storage.redis.host={self.address[0]}", f"pushca.storage.redis.port={self.port}"]

    def start(self):
        command = [*self.under, REDIS, "--port", str(self.port), "--bind", self.address[0], "--save", "", "--daemonize", "no",
                   "--protected-mode", "no", "--enable-debug-command", "yes", "--dir", str(self.folder),
                   "--logfile", str(self.folder / f"redis-{self.port}.log"), *self.options]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        self.wait_for_answer()

    def wait_for_answer(self):
        until = time.monotonic() + START_S
        while True:
            with contextlib.suppress(OSError, RedisError):
                if self.ask("PING") == "PONG":
                    return
            if self.process.poll() is not None or time.monotonic() > until:
                self.kill()
                raise AssertionError("redis-server does not start: "
                                     + (self.folder / f"redis-{self.port}.log").read_text()[-2000:])
            time.sleep(0.02)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()  # reaches a frozen one, too
        self.process.wait()
        self.frozen = False

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)
        self.frozen = True

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)
        self.frozen = False

    def ask(self, *words, wait=10):
        with Link(self.address, wait) as link:
            return link.ask(*words)

    def configure(self, name, value):
        assert self.ask("CONFIG", "SET", name, value) == "OK"

    def info(self, name):
        for line in self.ask("INFO").splitlines():
            if line.startswith(name + ":"):
                return line.partition(":")[2]
        raise KeyError(name)

    def read(self, pattern):
        """All keys that match, with their texts."""
        found = {}
        with Link(self.address) as link:
            cursor = "0"
            while True:
                cursor, keys = link.ask("SCAN", cursor, "MATCH", pattern, "COUNT", "1000")
                for key in keys:
                    found[key] = link.ask("GET", key)
                if cursor == "0":
                    return {key: text for key, text in found.items() if text is not None}


def _until(true):
    until = time.monotonic() + START_S
    while not true():
        assert time.monotonic() < until, "Redis does not get there"
        time.sleep(0.05)


class Sentinels:
    """A master, its replica and three Sentinels."""

    NAME = "main"

    def __init__(self, folder, *options):
        self.folder = folder
        self.running = contextlib.ExitStack()
        try:
            self.servers = [self.running.enter_context(Redis(folder, *options))]
            self.servers.append(self.running.enter_context(
                Redis(folder, "--replicaof", f"127.0.0.1 {self.servers[0].port}", "--repl-diskless-sync-delay", "0", *options)))
            self.sentinels = [self.running.enter_context(self._sentinel()) for _ in range(3)]
            _until(lambda: self.servers[1].info("master_link_status") == "up")
            _until(lambda: all(self._knows_all(one) for one in self.sentinels))
        except BaseException:
            self.running.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.running.close()

    def _sentinel(self):
        port = free_port()
        path = self.folder / f"sentinel-{port}.conf"
        path.write_text(f"sentinel monitor {self.NAME} 127.0.0.1 {self.servers[0].port} 2\n"
                        f"sentinel down-after-milliseconds {self.NAME} 1000\n"
                        f"sentinel failover-timeout {self.NAME} 5000\n")
        return Sentinel(self.folder, str(path), port)

    def _knows_all(self, sentinel):
        words = sentinel.ask("SENTINEL", "MASTER", self.NAME)
        told = dict(zip(words[::2], words[1::2]))
        return told["num-slaves"] == "1" and told["num-other-sentinels"] == "2" and told["flags"] == "master"

    @property
    def master(self):
        """The server the Sentinels name."""
        _, port = self.sentinels[0].ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.NAME)
        return next(one for one in self.servers if one.port == int(port))

    @property
    def masters(self):
        return [self.master]

    def sets(self):
        nodes = ",".join(f"127.0.0.1:{one.port}" for one in self.sentinels)
        return [f"pushca.storage.redis.sentinel.master={self.NAME}", f"pushca.storage.redis.sentinel.nodes={nodes}"]

    def fail_over(self):
        """kill -9 of the master; returns once the other one is it."""
        old = self.master
        old.kill()
        self.wait_for_another(old)

    def wait_for_another(self, old):
        _until(lambda: self.master is not old and self.master.ask("ROLE")[0] == "master")


class Sentinel(Redis):
    """redis-server with a file it writes to."""

    def __init__(self, folder, path, port):
        self.path = path
        super().__init__(folder, port=port)

    def start(self):
        command = [REDIS, self.path, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder),
                   "--logfile", str(self.folder / f"redis-{self.port}.log"), "--sentinel"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        self.wait_for_answer()


SLOTS = 16384


def slot_of(key):
    """The slot of a key: CRC16 of the first {tag}, or of all."""
    raw = key.encode()
    start = raw.find(b"{")
    if start >= 0:
        end = raw.find(b"}", start + 1)
        if end > start + 1:
            raw = raw[start + 1 : end]
    crc = 0
    for byte in raw:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc % SLOTS


class RedisCluster:
    """Three masters with a replica each."""

    NODE_TIMEOUT_MS = 1000

    def __init__(self, folder, *options):
        self.running = contextlib.ExitStack()
        try:
            self.servers = [self.running.enter_context(self._server(folder, options)) for _ in range(6)]
            self._join()
        except BaseException:
            self.running.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.running.close()

    def _server(self, folder, options):
        port = free_port()
        return Redis(folder, "--cluster-enabled", "yes", "--cluster-port", str(free_port()), "--cluster-config-file",
                     f"nodes-{port}.conf", "--cluster-node-timeout", str(self.NODE_TIMEOUT_MS), "--repl-diskless-sync-delay",
                     "0", "--cluster-replica-validity-factor", "0", *options, port=port)

    def _join(self):
        for number, server in enumerate(self.servers):
            server.name = server.ask("CLUSTER", "MYID")
            server.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for number, server in enumerate(self.servers[:3]):
            server.ask("CLUSTER", "ADDSLOTSRANGE", SLOTS * number // 3, SLOTS * (number + 1) // 3 - 1)
        bus = self.servers[0].ask("CONFIG", "GET", "cluster-port")[1]
        for server in self.servers[1:]:
            server.ask("CLUSTER", "MEET", "127.0.0.1", self.servers[0].port, bus)
        _until(lambda: all(self._knows_all(one) for one in self.servers))
        for number, server in enumerate(self.servers[3:]):
            server.ask("CLUSTER", "REPLICATE", self.servers[number].name)
        _until(lambda: all(one.info("master_link_status") == "up" for one in self.servers[3:]))
        _until(lambda: all(self.is_well(one) for one in self.servers))
        # every master has to know its replica, or it cannot be replaced yet
        _until(lambda: all(self._lines(one, "slave") == 3 for one in self.servers))

    @staticmethod
    def _lines(server, word):
        return sum(word in line.split(" ", 3)[2] for line in server.ask("CLUSTER", "NODES").splitlines())

    def _knows_all(self, server):
        lines = server.ask("CLUSTER", "NODES").splitlines()
        return len(lines) == 6 and not any("handshake" in line for line in lines)

    @staticmethod
    def is_well(server):
        return "cluster_state:ok" in server.ask("CLUSTER", "INFO")

    @property
    def alive(self):
        return [one for one in self.servers if one.process.poll() is None]

    @property
    def masters(self):
        return [one for one in self.alive if one.ask("ROLE")[0] == "master"]

    def sets(self):
        # not all of them: the others have to be found
        return ["pushca.storage.redis.cluster.nodes=" + ",".join(f"127.0.0.1:{one.port}" for one in self.servers[1:3])]

    def owner_of(self, slot, by=None):
        """As one of the servers has it."""
        for first, last, master, *_ in (by or self.alive[0]).ask("CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return next(one for one in self.servers if one.name == master[2])
        raise KeyError(slot)

    def fail_over(self, master):
        """kill -9 of a master; returns once its replica is one and all is well."""
        master.kill()
        _until(lambda: len(self.masters) == 3 and all(self.is_well(one) for one in self.alive))

    def move_slot(self, slot, to):
        """As redis-cli --cluster reshard does."""
        of = self.owner_of(slot)
        assert of is not to
        to.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", of.name)
        of.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", to.name)
        while keys := of.ask("CLUSTER", "GETKEYSINSLOT", slot, 100):
            of.ask("MIGRATE", "127.0.0.1", to.port, "", 0, 5000, "KEYS", *keys)
        masters = [to, of, *(one for one in self.masters if one not in (to, of))]
        for server in masters:
            server.ask("CLUSTER", "SETSLOT", slot, "NODE", to.name)

        def all_agree():
            """A heartbeat that left `of` before, when slots move in both directions, takes it back from some."""
            against = [one for one in masters if self.owner_of(slot, one) is not to]
            for one in against:
                one.ask("CLUSTER", "SETSLOT", slot, "NODE", to.name)
            return not against

        _until(all_agree)

"""Several pushers in cluster mode with one Redis, and what can be done to them: ended, cut off, slowed down.

`with Cluster(3, redis) as cluster:` starts them on free ports and waits until each knows all. Leaving stops them and
checks that none crashed."""

import concurrent.futures
import contextlib
import ctypes
import os
import pathlib
import queue
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

from pushca import BINARY, Server, wait_for
from redis_process import free_port

SECRET = "pushca.coordinator.secret-key=0123456789abcdef0123456789abcdef-secret"
SANITIZED = "/release/" not in BINARY
PREFIX = "pushca"
CHANNELS = PREFIX + ":node:"

# The figures hold for the release build; sanitizers cost a multiple.
BACK_S = 30 if SANITIZED else 5
WHOLE_S = 60


class Node(Server):
    """One pusher of a cluster."""

    def __init__(self, number, ports, *sets, address="127.0.0.1", listener=None, under=(), tls=None, config=None):
        """listener: the port that clients are told, when it is not the node's own. tls: an ssl.SSLContext, when the REST
        port speaks TLS. config: the path of its configuration file."""
        self.number = number
        self.name = f"node-{number}"
        super().__init__(
            SECRET, "pushca.pusher.deploy-mode=cluster", f"pushca.pusher.instance-id={self.name}", f"server.address={address}",
            f"server.port={ports[0]}", f"pushca.pusher.socket-port={ports[1]}",
            f"pushca.pusher.external-advertised-url=ws://{address}:{listener or ports[1]}/",
            f"pushca.pusher.internal-cluster-url={'https' if tls else 'http'}://{address}:{ports[0]}", *sets, under=under, tls=tls,
            arguments=("--config", str(config)) if config else ())

    def kill(self):
        """kill -9."""
        self.process.kill()
        self.process.wait()
        self.reader.join()

    def cluster(self):
        """(state, how many nodes it knows) by its health."""
        details = self.get("/actuator/health").json.get("components", {}).get("cluster", {}).get("details", {})
        return details.get("state"), details.get("nodes")

    def clients(self):
        """(life, identity hashes) of those who are connected here."""
        answer = self.get("/actuator/cluster/clients").json
        assert answer["instanceId"] == self.name
        return answer["life"], answer["clients"]

    def says_ready(self):
        with contextlib.suppress(OSError):
            return self.get("/actuator/health/readiness").status == 200
        return False


class Cluster:
    def __init__(self, count, redis, *sets, each=None, hosts=None, listeners=None, tls=None, configs=None):
        """each: number -> further settings. hosts: number -> a Host of a network of its own, for each node. tls: an
        ssl.SSLContext, when their REST ports speak TLS. configs: number -> the path of its configuration file."""
        self.redis = redis
        self.sets = [*(redis.sets() if redis else []), *sets]
        self.each = each or (lambda number: [])
        self.hosts = hosts
        self.listeners = listeners or {}
        self.tls = tls
        self.configs = configs or {}
        self.ports = {number: (free_port(), free_port()) for number in range(count)}
        self.nodes = {}
        self.deaths = []  # (number, when): those killed
        self.absences = []  # [number, since, until]: those that were not all there, for whatever reason
        self.ended = []  # those that were stopped or killed
        try:
            with concurrent.futures.ThreadPoolExecutor(count) as pool:
                list(pool.map(self.start, range(count)))
            self.wait_until_whole()
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        statuses = self.close()
        if kind is not None:
            return
        for node in [*self.ended, *self.nodes.values()]:
            assert "Sanitizer" not in node.log() and "runtime error" not in node.log(), node.log()
            assert "crashed" not in node.log(), node.log()
        for name, (status, log) in statuses.items():
            assert status == 0, f"{name} ended with {status}:\n{log}"

    def __getitem__(self, number):
        return self.nodes[number]

    def __iter__(self):
        return iter([self.nodes[number] for number in sorted(self.nodes)])

    def __len__(self):
        return len(self.nodes)

    def start(self, number):
        more = {}
        if self.hosts:
            more = {"address": self.hosts[number].address, "under": self.hosts[number].under}
        self.nodes[number] = Node(number, self.ports[number], *self.sets, *self.each(number),
                                  listener=self.listeners.get(number), tls=self.tls,
                                  config=self.configs.get(number), **more)
        return self.nodes[number]

    def start_again(self, number):
        """And waits until all know it."""
        self.start(number)
        self.wait_until_whole()
        for absence in self.absences:
            if absence[0] == number:
                absence[2] = min(absence[2], time.monotonic())

    def kill(self, number):
        """kill -9, without a word."""
        node = self.nodes.pop(number)
        assert node.process.poll() is None, f"{node.name} has ended before:\n{node.log()}"
        self._is_absent(number)
        self.deaths.append((number, time.monotonic()))
        node.kill()
        self.ended.append(node)

    def stop(self, number):
        """SIGTERM and the wait for the end."""
        node = self.nodes.pop(number)
        self._is_absent(number)
        status = node.stop()
        self.ended.append(node)
        assert status == 0, f"{node.name} ended with {status}:\n{node.log()}"

    def _is_absent(self, number):
        self.absences.append([number, time.monotonic(), float("inf")])

    def was_absent(self, number, since, until):
        return any(number == one and since < end and until > start for one, start, end in self.absences)

    def close(self):
        """Ends all, together; name -> (status, log)."""
        for node in self.nodes.values():
            with contextlib.suppress(ProcessLookupError):
                node.process.send_signal(signal.SIGCONT)
                if node.process.poll() is None:
                    node.process.send_signal(signal.SIGTERM)
        statuses = {node.name: (node.stop(), node.log()) for node in self.nodes.values()}
        for node in self.ended:
            if not node.process.stderr.closed:
                node.process.stderr.close()
        return statuses

    def logs(self):
        return "\n".join(f"---- {node.name}\n{node.log()}" for node in self)

    # -- what the nodes say of each other -------------------------------------------------------------

    def is_whole(self):
        return all(self.sees(node, "up", len(self.nodes)) for node in self)

    @staticmethod
    def sees(node, state, count=None):
        with contextlib.suppress(OSError):
            found, nodes = node.cluster()
            return found == state and count in (None, nodes)
        return False

    def wait_until_whole(self, wait=WHOLE_S):
        until = time.monotonic() + wait
        while not self.is_whole():
            for node in self:
                assert node.process.poll() is None, f"{node.name} has ended:\n{node.log()}"
            if time.monotonic() > until:
                told = {node.name: node.cluster() for node in self}
                raise AssertionError(f"not whole: {told}\n{self.logs()}")
            time.sleep(0.05)

    # -- the directory ----------------------------------------------------------------------------------

    def written(self):
        """identity hash -> "<instance id> <life>", as Redis has it; not of those who have left."""
        found = {}
        for master in self.redis.masters:
            found.update(master.read(f"{PREFIX}:client:*"))
        return {key.rpartition(":")[2]: text for key, text in found.items() if not text.startswith("~")}

    def truth(self):
        """identity hash -> those entries that would be right, by the nodes' own lists."""
        found = {}
        for node in self:
            life, clients = node.clients()
            for one in clients:
                found.setdefault(one, []).append(f"{node.name} {life}")
        return found

    def differences(self):
        """What is wrong with the directory, in words."""
        truth, written = self.truth(), self.written()
        wrong = [f"{one} is on {owners} and not written" for one, owners in truth.items() if one not in written]
        wrong += [f"{one} is written {text} and on {truth.get(one, 'none')}" for one, text in written.items()
                  if text not in truth.get(one, [])]
        return wrong

    def wait_for_directory(self, wait=BACK_S):
        """Until it is equal to the truth; how long that took."""
        began = time.monotonic()
        while wrong := self.differences():
            assert time.monotonic() < began + wait, f"{len(wrong)} entries are wrong after {wait} s: {wrong[:5]}"
            time.sleep(0.1)
        return time.monotonic() - began


# ---- one thread alone ---------------------------------------------------------------------------------

_SEIZE, _INTERRUPT, _DETACH, _WALL = 0x4206, 0x4207, 17, 0x40000000


class Halt:
    """One thread of a process stands still inside `with`, the others go on. The thread that enters must leave it."""

    def __init__(self, process, thread):
        self.tid = next(int(task.name) for task in pathlib.Path(f"/proc/{process.pid}/task").iterdir()
                        if (task / "comm").read_text(encoding="ascii") == thread + "\n")
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
        self.libc.ptrace.restype = ctypes.c_long

    def _trace(self, request):
        if self.libc.ptrace(request, self.tid, None, None) < 0:
            raise OSError(ctypes.get_errno(), "ptrace")

    def __enter__(self):
        self._trace(_SEIZE)
        self._trace(_INTERRUPT)
        assert os.waitpid(self.tid, _WALL)[0] == self.tid
        return self

    def __exit__(self, *unused):
        self._trace(_DETACH)


# ---- a bad wire to Redis ------------------------------------------------------------------------------


class Wire:
    """A TCP proxy on a port of its own that delays, stalls, or cuts."""

    def __init__(self, address, delay_s=0.0):
        self.address = address
        self.delay_s = delay_s
        self.passing = threading.Event()
        self.passing.set()
        self.pairs = []
        self.listener = None
        self.ended = False
        self.port = free_port()
        self.listen()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.ended = True
        self.passing.set()
        self.cut()

    def sets(self):
        return ["pushca.storage.redis.host=127.0.0.1", f"pushca.storage.redis.port={self.port}"]

    def listen(self):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen()
        self.listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def stall(self):
        """Nothing passes, and nobody is told."""
        self.passing.clear()

    def resume(self):
        self.passing.set()

    def cut(self):
        """Connections are reset and new ones refused, until listen()."""
        for sock in (self.listener, *[sock for pair in self.pairs for sock in pair]):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        self.pairs = []

    def _accept(self, listener):
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                try:
                    far = socket.create_connection(self.address, timeout=5)
                except OSError:
                    near.close()
                    continue
                far.settimeout(None)
                self.pairs.append((near, far))
                for source, target in ((near, far), (far, near)):
                    waiting = queue.Queue()
                    threading.Thread(target=self._read, args=(source, waiting), daemon=True).start()
                    threading.Thread(target=self._write, args=(waiting, target), daemon=True).start()

    def _read(self, source, waiting):
        data = b"?"
        while data:
            try:
                data = source.recv(65536)
            except OSError:
                data = b""
            waiting.put((time.monotonic() + self.delay_s, data))

    def _write(self, waiting, target):
        with contextlib.suppress(OSError):
            while True:
                due, data = waiting.get()
                time.sleep(max(0.0, due - time.monotonic()))
                self.passing.wait()
                if not data:
                    target.shutdown(socket.SHUT_RDWR)
                    return
                target.sendall(data)


# ---- hosts of their own -------------------------------------------------------------------------------

_CLONE_NEWNET = 0x40000000


def _sudo(*command, check=True):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, f"{command}: {done.stderr}"
    return done.returncode == 0


def no_network_of_its_own():
    """Why network namespaces cannot be had; None: they can."""
    for name in ("ip", "unshare", "nsenter"):
        if not shutil.which(name, path="/usr/sbin:/sbin:/usr/bin:/bin"):
            return f"{name} is not installed"
    if os.geteuid() != 0:
        return "network namespaces need root"
    if not _sudo("unshare", "--net", "ip", "link", "add", "name", "one", "type", "veth", "peer", "name", "two",
                 check=False):
        return "this machine grants no network namespaces"
    return None


class _Space:
    """A network namespace, held by a process that sleeps: nothing of it stays when that has ended."""

    def __init__(self):
        self.holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"], stdin=subprocess.DEVNULL)
        ours = os.readlink("/proc/self/ns/net")

        def is_apart():
            return os.readlink(f"/proc/{self.holder.pid}/ns/net") != ours \
                and pathlib.Path(f"/proc/{self.holder.pid}/comm").read_text(encoding="ascii") == "sleep\n"

        try:
            wait_for(is_apart)
        except BaseException:
            self.end()
            raise
        self.under = ("nsenter", "-t", str(self.holder.pid), "-n")

    def run(self, *command, check=True):
        return _sudo(*self.under, *command, check=check)

    def end(self):
        self.holder.kill()
        self.holder.wait()


class Host(_Space):
    """A namespace with one wire to the router."""

    def __init__(self, net, number):
        super().__init__()
        self.number = number
        self.address, self.gateway = f"10.83.{number}.2", f"10.83.{number}.1"
        self.wire = f"to-{number}"
        try:
            net.run("ip", "link", "add", "name", self.wire, "type", "veth", "peer", "name", "eth0", "netns", str(self.holder.pid))
            net.run("ip", "addr", "add", self.gateway + "/30", "dev", self.wire)
            net.run("ip", "link", "set", self.wire, "up")
            self.run("ip", "addr", "add", self.address + "/30", "dev", "eth0")
            self.run("ip", "link", "set", "lo", "up")
            self.run("ip", "link", "set", "eth0", "up")
            self.run("ip", "route", "add", "default", "via", self.gateway)
        except BaseException:
            self.end()
            raise


class Net(_Space):
    """A router and hosts around it. Inside `with`, this thread and those it starts live on the router; the machine's own
    network is never touched."""

    def __init__(self, count):
        super().__init__()
        self.hosts = []
        self.before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        self.libc = ctypes.CDLL(None, use_errno=True)
        try:
            self.run("ip", "link", "set", "lo", "up")
            self.run("sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
            self.enter(f"/proc/{self.holder.pid}/ns/net")
            for number in range(count):
                self.hosts.append(Host(self, number))
        except BaseException:
            self.__exit__()
            raise

    def enter(self, path):
        space = os.open(path, os.O_RDONLY)
        try:
            assert self.libc.setns(space, _CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        finally:
            os.close(space)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        assert self.libc.setns(self.before, _CLONE_NEWNET) == 0
        os.close(self.before)
        for host in self.hosts:
            host.end()
        self.end()

    def cut(self, one, other):
        """What they send to each other disappears on the way, and nobody is told."""
        for a, b in ((one, other), (other, one)):
            self.run("ip", "rule", "add", "from", a.address, "to", b.address, "blackhole")

    def mend(self, one, other):
        for a, b in ((one, other), (other, one)):
            self.run("ip", "rule", "del", "from", a.address, "to", b.address, "blackhole")

    def unplug(self, host):
        """Its wire is out: it has no network at all."""
        self.run("ip", "link", "set", host.wire, "down")

    def plug(self, host):
        self.run("ip", "link", "set", host.wire, "up")


# ---- nginx in front -------------------------------------------------------------------------------------

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")

# As deploy/nginx does: REST under one prefix over all nodes, a WebSocket listener for each.
NGINX_CONF = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log warn;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_max_body_size 2m;
    upstream all_nodes {{ {all} }}
    server {{
        listen 127.0.0.1:{rest};
        location /pushca/ {{
            proxy_pass http://all_nodes/;
            proxy_http_version 1.1;
            proxy_connect_timeout 1s;
            proxy_set_header Connection "";
        }}
    }}
    {sockets}
}}
"""

NGINX_SOCKETS = """
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://127.0.0.1:{node};
            proxy_http_version 1.1;
            proxy_connect_timeout 1s;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
            proxy_set_header Host $http_host;
            proxy_read_timeout 7d;
        }}
    }}
"""


class Nginx:
    """In front of a cluster that told its clients `listeners`."""

    def __init__(self, folder, cluster, listeners):
        self.rest = ("127.0.0.1", free_port())
        every = " ".join(f"server 127.0.0.1:{rest} max_fails=1 fail_timeout=1s;" for rest, _ in cluster.ports.values())
        sockets = "".join(NGINX_SOCKETS.format(port=listeners[number], node=ws) for number, (_, ws) in cluster.ports.items())
        path = folder / "nginx.conf"
        path.write_text(NGINX_CONF.format(folder=folder, rest=self.rest[1], all=every, sockets=sockets))
        self.process = subprocess.Popen([NGINX, "-p", str(folder), "-c", str(path), "-e", str(folder / "start.log")],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def answers():
            assert self.process.poll() is None, (folder / "start.log").read_text(encoding="utf-8")
            with contextlib.suppress(ConnectionRefusedError), socket.create_connection(self.rest):
                return True

        try:
            wait_for(answers)
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()


def samples(node, pattern):
    """Prometheus samples whose name matches."""
    return {name: value for name, value in node.metrics().items() if re.search(pattern, name)}

"""The cases of http_cases.py through nginx: what it takes for one request is one request to the server behind it,
however strange the octets were. Otherwise a client could hide a request from what the proxy checks."""

import contextlib
import shutil
import socket
import subprocess
import time

import pytest

from http_cases import BODY, CASES, LISTENER, get, notification, with_length
from pushca import Server, parse_answer

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
START_S = 20

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")

# As lenient as it can be made, bodies passed on while they come, and one connection for all requests.
CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log crit;
events {{ worker_connections 128; }}
http {{
    log_format passed '$upstream_addr $upstream_status $status';
    access_log {folder}/access.log passed;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    lingering_close off;
    keepalive_requests 1000000;
    client_max_body_size 8m;
    ignore_invalid_headers off;
    underscores_in_headers on;
    merge_slashes off;
    upstream behind {{
        server 127.0.0.1:{behind};
        keepalive 1;
        keepalive_requests 1000000;
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://behind;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_pass_header Date;
            proxy_request_buffering off;
            proxy_ignore_client_abort on;
            proxy_next_upstream off;
        }}
    }}
}}
"""


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Proxy:
    def __init__(self, folder, behind):
        self.folder = folder
        self.port = free_port()
        (folder / "nginx.conf").write_text(CONFIGURATION.format(folder=folder, port=self.port, behind=behind))
        command = [NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "start.log")]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __enter__(self):
        until = time.monotonic() + START_S
        while True:
            with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", self.port)):
                self.log = (self.folder / "access.log").open()
                return self
            if self.process.poll() is not None or time.monotonic() > until:
                self.__exit__()
                raise AssertionError("nginx does not start: " + (self.folder / "start.log").read_text())
            time.sleep(0.02)

    def __exit__(self, *unused):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def ask(self, octets):
        """All that comes back until the end."""
        got = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as sock:
            with contextlib.suppress(OSError):  # it may have closed by now
                sock.sendall(octets)
                sock.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionResetError):
                while more := sock.recv(65536):
                    got += more
        return got

    def passed(self):
        """(status of the server, status to the client) of each request that went to the server since the last call. The
        first is "-" where the client had gone before its body was there."""
        return [line.split()[1:] for line in self.log if line[0] != "-"]


def requests(server):
    """How many the server has seen, without the question itself."""
    found = server.metrics()["pushca_http_requests_total"]
    requests.own += 1
    return found - requests.own


@pytest.fixture(name="proxy")
def make_proxy(tmp_path):
    requests.own = 0
    # an end that says nothing would be nginx's 502
    with Server("pushca.limits.keep-alive-ms=10m") as server, Proxy(tmp_path, server.rest[1]) as proxy:
        yield server, proxy


def test_a_proxy_and_the_server_count_the_same_requests(proxy):
    server, nginx = proxy
    before, total, refused_behind = requests(server), 0, 0
    for case in CASES:
        tail = b"" if case.fin else with_length(notification("tail", LISTENER), b"Connection: close\r\n")
        nginx.ask(case.octets + tail)
        passed = nginx.passed()
        if ["-", "400"] in passed:
            time.sleep(0.05)  # what was left half said may still be on its way
        now = requests(server)
        answered = [pair for pair in passed if pair[0] != "-"]
        assert len(answered) <= now - before <= len(passed), f"{case.name}: of {passed} the server saw {now - before}"
        assert all(theirs == ours for theirs, ours in answered), (case.name, passed)
        before, total = now, total + len(answered)
        refused_behind += sum(theirs[0] in "45" for theirs, _ in answered)
    # neither was asked about nothing, and the server did refuse some that the proxy had let through
    assert total > len(CASES) / 2
    assert refused_behind > 20


def test_good_requests_pass_the_proxy_in_order(proxy):
    _, nginx = proxy
    octets = with_length(BODY) + get() + get(b"/nothing") + get(method=b"HEAD") + get(b"/actuator/info", b"Connection: close\r\n")
    rest, statuses = nginx.ask(octets), []
    while parsed := parse_answer(rest, is_head=len(statuses) == 3):
        statuses.append(parsed[0].status)
        rest = parsed[1]
    assert (statuses, rest) == ([200, 200, 404, 200, 200], b"")

"""The program under test: started on free ports, asked over HTTP, stopped by SIGTERM.

$PUSHCA names the binary. Every server is used as `with Server("key=value", ...) as server:`; leaving checks that
it ended with status 0 and that no sanitizer spoke."""

import base64
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("PUSHCA", str(ROOT / "build/release/pushca"))

START_S = 30
STOP_S = 20


def identity(name="1", **overrides):
    who = {
        "workSpaceId": "workSpaceMain",
        "accountId": f"client{name}@test.ee",
        "deviceId": f"device-{name}",
        "applicationId": "MY_APPLICATION",
    }
    who.update(overrides)
    return who


class Answer:
    """Status, header fields (names in lower case) and body of one HTTP answer."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"Answer({self.status}, {self.headers}, {self.body[:400]!r})"


def parse_answer(raw, is_head=False):
    """(Answer, what follows it) from bytes that hold at least one whole answer; None if they do not."""
    head, end, rest = raw.partition(b"\r\n\r\n")
    if not end:
        return None
    status, fields = _status_and_fields(head)
    length = 0 if is_head else int(fields.get("content-length", "0"))
    if len(rest) < length:
        return None
    return Answer(status, fields, rest[:length]), rest[length:]


class Server:
    def __init__(self, *sets, env=None, arguments=(), tls=None, under=()):
        """tls: an ssl.SSLContext, when the REST port speaks TLS. under: a command that becomes the server."""
        self.tls = tls
        command = [*under, BINARY, "serve", *arguments]
        for one in ("server.port=0", "pushca.pusher.socket-port=0", "pushca.pusher.shards=2", *sets):
            command += ["--set", one]
        self.lines = []
        self.rest = self.ws = None
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env={**os.environ, **(env or {})},
        )
        self.is_ready = threading.Event()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        if not self.is_ready.wait(START_S) or self.rest is None:
            self.process.kill()
            self.reader.join()
            raise AssertionError("no ready line:\n" + "".join(self.lines))

    def _read(self):
        for line in self.process.stderr:
            self.lines.append(line)
            found = re.search(r"\bready\b.*\brest\W+(?:https://)?([\w.:\[\]]+):(\d+)"
                              r".*\bwebsocket\W+(?:wss://)?([\w.:\[\]]+):(\d+)", line)
            if found and self.rest is None:
                self.rest = (found[1].strip("[]"), int(found[2]))
                self.ws = (found[3].strip("[]"), int(found[4]))
                self.is_ready.set()
        self.is_ready.set()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        status = self.stop()
        if kind is None:
            assert status == 0, self.log()
            assert "Sanitizer" not in self.log() and "runtime error" not in self.log(), self.log()

    def stop(self):
        """Ends it politely; the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.reader.join()
        self.process.stderr.close()
        return self.process.returncode

    def log(self):
        return "".join(self.lines)

    # -- HTTP ----------------------------------------------------------------------------------------

    def request(self, method, path, body=None, headers=None, wait=30):
        """One request on its own connection, by Python's client."""
        if self.tls:
            connection = http.client.HTTPSConnection(*self.rest, timeout=wait, context=self.tls)
        else:
            connection = http.client.HTTPConnection(*self.rest, timeout=wait)
        try:
            connection.request(method, path, body, headers or {})
            got = connection.getresponse()
            fields = {name.lower(): value for name, value in got.getheaders()}
            return Answer(got.status, fields, got.read())
        finally:
            connection.close()

    def get(self, path, **headers):
        return self.request("GET", path, headers=headers)

    def post(self, path, body, **headers):
        """body: bytes as they are, anything else as JSON."""
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.request("POST", path, payload, {"Content-Type": "application/json", **headers})

    def curl(self, path, *options):
        """The same question asked by an independent client."""
        url = f"http://{self.rest[0]}:{self.rest[1]}{path}"
        command = ["curl", "--silent", "--show-error", "--include", "--max-time", "30", "--path-as-is", *options, url]
        raw = subprocess.run(command, capture_output=True, check=True).stdout
        while raw.startswith(b"HTTP/1.1 100"):
            raw = raw.partition(b"\r\n\r\n")[2]
        head, _, body = raw.partition(b"\r\n\r\n")
        return Answer(*_status_and_fields(head), body)

    def raw(self, data, answers=1, port=None, wait=30):
        """Sends bytes as they are; (that many answers, or fewer if it closed, and what else came)."""
        with socket.create_connection(port or self.rest, timeout=wait) as sock:
            sock.sendall(data)
            got, found = b"", []
            while len(found) < answers:
                parsed = parse_answer(got)
                if parsed:
                    found.append(parsed[0])
                    got = parsed[1]
                    continue
                try:
                    more = sock.recv(65536)
                except ConnectionResetError:
                    more = b""
                if not more:
                    break
                got += more
            return found, got

    # -- what tests ask again and again ----------------------------------------------------------------

    def open(self, who=None, kind="externalAdvertisedUrl"):
        """A connection string for an identity."""
        answer = self.post("/open-connection", {"client": who or identity()})
        assert answer.status == 200, answer
        return answer.json[kind]

    def handshake(self, target, method="GET", version="13", **headers):
        """A WebSocket handshake by hand; (Answer, socket, bytes behind the answer). The caller closes the socket."""
        fields = {
            "Host": "test",
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": version,
            "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        text = f"{method} {target} HTTP/1.1\r\n"
        text += "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value is not None)
        sock = socket.create_connection(self.ws, timeout=30)
        sock.sendall(text.encode() + b"\r\n")
        got = b""
        while not parse_answer(got):
            more = sock.recv(65536)
            assert more, f"closed without an answer: {got!r}"
            got += more
        answer, rest = parse_answer(got)
        return answer, sock, rest

    def try_handshake(self, target, **options):
        """The answer alone; an accepted socket is closed again."""
        answer, sock, _ = self.handshake(target, **options)
        sock.close()
        return answer

    def metrics(self):
        """Prometheus lines: name with labels -> value."""
        found = {}
        for line in self.get("/actuator/prometheus").body.decode().splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                found[name] = float(value)
        return found

    def wait_for_metric(self, name, value, wait=30):
        until = time.monotonic() + wait
        while (now := self.metrics()[name]) != value:
            assert time.monotonic() < until, f"{name} is {now}, not {value}"
            time.sleep(0.02)

    def memory_bytes(self):
        """As the machine sees it; sanitizers keep what was freed, there the server's own account must do."""
        return self.resident_bytes() if "/release/" in BINARY else int(self.metrics()["pushca_memory_held_bytes"])

    def resident_bytes(self):
        pages = int(pathlib.Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


class Configured(Server):
    """A server with a file that can be written anew."""

    def __init__(self, path, text, **options):
        self.path = path
        path.write_text(text)
        super().__init__(arguments=("--config", str(path)), **options)

    def reload(self, text, expect):
        """Writes the file, asks for it, and waits for one more that matches."""
        before = len(re.findall(expect, self.log()))
        self.path.write_text(text)
        self.process.send_signal(signal.SIGHUP)
        wait_for(lambda: len(re.findall(expect, self.log())) > before)


def wait_for(what, wait=20):
    """Asks until the answer is true, and returns it."""
    until = time.monotonic() + wait
    while not (found := what()):
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.01)
    return found


def _status_and_fields(head):
    lines = head.decode("latin-1").split("\r\n")
    fields = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        fields[name.strip().lower()] = value.strip()
    return int(lines[0].split()[1]), fields

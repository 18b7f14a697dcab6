"""deploy/nginx/pushca.conf, made fit for this machine by tools/nginx-local, in front of servers of a test."""

import contextlib
import shutil
import socket
import subprocess
import time

from pushca import ROOT

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
START_S = 20


def free_ports(count):
    """So many different ones."""
    with contextlib.ExitStack() as stack:
        ports = []
        for _ in range(count):
            sock = stack.enter_context(socket.socket())
            sock.bind(("127.0.0.1", 0))
            ports.append(sock.getsockname()[1])
        return ports


class Nginx:
    """`with Nginx(folder, nodes, port, listens) as nginx:` - nodes: (REST port, WebSocket port) of each; listens: where
    nginx takes the WebSockets of each."""

    def __init__(self, folder, nodes, port, listens):
        self.folder, self.port, self.listens = folder, port, listens
        folder.mkdir(exist_ok=True)
        words = [f"{rest}:{ws}:{listen}" for (rest, ws), listen in zip(nodes, listens, strict=True)]
        made = subprocess.run([ROOT / "tools/nginx-local", folder, str(port), *words], capture_output=True, text=True, check=True)
        (folder / "nginx.conf").write_text(made.stdout)
        self.command = [NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "start.log")]
        self.process = None

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + START_S
        for port in (self.port, *self.listens):
            while True:
                with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
                    break
                if self.process.poll() is not None or time.monotonic() > until:
                    self.__exit__()
                    raise AssertionError("nginx does not start: " + self.log())
                time.sleep(0.02)
        return self

    def __exit__(self, *unused):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def log(self):
        return "".join(path.read_text() for path in sorted(self.folder.glob("*.log")))

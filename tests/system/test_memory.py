"""When the system refuses memory: nobody is lost, new work waits until there is some again."""

import pathlib
import resource
import time

import pytest

from frames import TEXT, Raw, frame
from pushca import BINARY, Server, identity

STATUS = pathlib.Path("/proc/self/status")
SANITIZED = "/release/" not in BINARY

pytestmark = [
    pytest.mark.skipif(SANITIZED, reason="sanitizers reserve more address space than there is"),
    pytest.mark.skipif(not STATUS.exists(), reason="no /proc tells what address space is used"),
]


def address_space(server):
    text = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    return 1024 * int(next(line for line in text.splitlines() if line.startswith("VmSize")).split()[1])


def limit(server, extra):
    """extra bytes beyond what it has now; None: no limit of ours."""
    hard = resource.prlimit(server.process.pid, resource.RLIMIT_AS)[1]
    soft = hard if extra is None else address_space(server) + extra
    resource.prlimit(server.process.pid, resource.RLIMIT_AS, (soft, hard))


def wait_for(what, wait=20):
    until = time.monotonic() + wait
    while not what():
        assert time.monotonic() < until
        time.sleep(0.05)


def overwhelm(server, count):
    """Unfinished messages, 6 MiB each: more than there is."""
    crowd = [Raw(server, identity(str(number))) for number in range(count)]
    limit(server, -(1 << 20))  # less than it has: nothing more is granted
    for one in crowd:
        try:
            one.send(frame(TEXT, b"a" * (6 << 20), final=False))
        except OSError:
            pass  # refused meanwhile: close 1013
    for one in crowd:
        one.sock.close()


def test_a_server_without_memory_keeps_its_clients_and_takes_no_new_work():
    """The reserve is used, and cannot be taken again until the limit is gone."""
    body = {"filter": identity("kept"), "message": "still there"}
    with Server() as server:
        with Raw(server, identity("kept")) as kept:
            overwhelm(server, 30)
            refused = server.post("/send-notification", body)
            assert refused.status == 429
            assert server.post("/open-connection", {"client": identity()}).status == 429
            metrics = server.metrics()
            assert metrics["pushca_memory_short_total"] >= 1
            assert metrics['pushca_refused_total{reason="memory"}'] > 10
            limit(server, None)
            wait_for(lambda: server.post("/send-notification", body).status == 200)
            assert kept.text() == "still there"
        assert "out of memory" in server.log()
        wait_for(lambda: "memory is back" in server.log())

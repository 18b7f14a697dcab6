"""The README's quick start, run exactly as printed."""

import os
import pathlib
import re
import signal
import socket
import subprocess
import time

import pytest

from pushca import BINARY
from wscat_tool import wscat_folder

ROOT = pathlib.Path(__file__).resolve().parents[2]


def quick_start():
    text = (ROOT / "README.md").read_text()
    section = re.search(r"^## Quick start\n(.*?)^## ", text, re.S | re.M).group(1)
    blocks = re.findall(r"^```sh\n(.*?)^```", section, re.S | re.M)
    assert len(blocks) == 3, "run, listen, send"
    return blocks


def is_free(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


class Terminal:
    """One of the reader's terminals."""

    def __init__(self, commands, log, **environment):
        self.log = log
        self.file = open(log, "wb")
        self.process = subprocess.Popen(
            ["bash", "-c", commands], cwd=ROOT, stdin=subprocess.PIPE, stdout=self.file,
            stderr=subprocess.STDOUT, start_new_session=True, env=dict(os.environ, **environment),
        )

    def wait_for(self, text, seconds):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if text in self.log.read_text(errors="replace"):
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        pytest.fail(f"{text!r} did not appear:\n{self.log.read_text(errors='replace')}")

    def end(self, how):
        if self.process.poll() is None:
            os.killpg(self.process.pid, how)
        self.file.close()
        return self.process.wait(30)


@pytest.mark.skipif("/release/" not in BINARY, reason="./run builds and starts the release binary")
def test_quick_start_as_printed(tmp_path):
    for port in (8080, 8883):
        assert is_free(port), f"port {port} is in use on this machine; the quick start needs it"
    run, listen, send = quick_start()
    folder = wscat_folder()
    server = Terminal(run, tmp_path / "run.log")
    listener = None
    try:
        server.wait_for(" ready ", 300)
        server.wait_for("wscat -c", 5)
        printed = (tmp_path / "run.log").read_text()
        for line in (listen + send).strip().splitlines():
            assert line in printed, "the server prints other commands than the README"
        if folder is None:
            pytest.skip("wscat is not here, and neither is npm to install it: listened to nothing")
        listener = Terminal(listen, tmp_path / "listen.log", PATH=f"{folder}:{os.environ['PATH']}")
        deadline = time.monotonic() + 20
        while "Hello dear users!" not in (tmp_path / "listen.log").read_text(errors="replace"):
            assert time.monotonic() < deadline, (tmp_path / "listen.log").read_text(errors="replace")
            done = subprocess.run(["bash", "-c", send], cwd=ROOT, capture_output=True, timeout=30)
            assert done.returncode == 0
            time.sleep(0.3)
    finally:
        if listener:
            listener.end(signal.SIGTERM)
        status = server.end(signal.SIGINT)
    assert status == 0, "Ctrl-C ends it cleanly"

"""./cluster: what it starts, what it prints, and that nothing of it stays."""

import asyncio
import contextlib
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest
import websockets

from nginx import NGINX
from pushca import BINARY, ROOT

pytestmark = [
    # several at one time would take each other's ports
    pytest.mark.skipif("/release/" not in BINARY, reason="./cluster builds and starts the release binary"),
    pytest.mark.skipif(NGINX is None or not shutil.which("redis-server"), reason="nginx or redis-server is not installed"),
]


class Command:
    """./cluster, in a terminal of its own."""

    def __init__(self, folder, *arguments, begin=None):
        """begin: called in the new process before anything else."""
        self.folder = folder
        self.file = open(folder / "output", "wb")
        self.process = subprocess.Popen(
            [ROOT / "cluster", *arguments], cwd=folder, stdin=subprocess.DEVNULL, stdout=self.file, stderr=subprocess.STDOUT,
            start_new_session=True, preexec_fn=begin, env={**os.environ, "PUSHCA": BINARY, "TMPDIR": str(folder)})

    def output(self):
        return (self.folder / "output").read_text()

    def wait_for(self, text, seconds=60):
        until = time.monotonic() + seconds
        while text not in self.output():
            assert self.process.poll() is None and time.monotonic() < until, self.output()
            time.sleep(0.05)
        return self.output()

    def pids(self):
        return [int(pid) for pid in re.findall(r"\bpid (\d+)$", self.output(), re.MULTILINE)]

    def end(self, how=signal.SIGINT):
        """As Ctrl-C does: to the whole group of the terminal."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, how)
        return self.ended()

    def ended(self):
        """The exit status; nothing of it is there any more."""
        status = self.process.wait(60)
        groups = process_groups()
        for pid in self.pids():  # each leads a group of its own
            assert pid not in groups, self.output()
        assert [path.name for path in self.folder.iterdir()] == ["output"]
        return status

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.file.close()


def process_groups():
    """Of all processes there are."""
    found = set()
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # they end while they are looked at
            found.add(int(path.read_text().rpartition(")")[2].split()[2]))
    return found


def printed(output, beginning):
    return next(line for line in output.splitlines() if line.startswith(beginning))


def shell(line):
    return subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60, check=True).stdout


def test_help_and_wrong_usage():
    done = subprocess.run([ROOT / "cluster", "--help"], capture_output=True, text=True, timeout=30, check=True)
    assert "--nodes N" in done.stdout and done.stderr == ""
    for arguments in (["--nodes"], ["--nodes", "0"], ["--nodes", "17"], ["--nodes", "x"], ["--set", "x"], ["now"]):
        done = subprocess.run([ROOT / "cluster", *arguments], capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 2 and done.stderr.count("\n") == 1 and "./cluster --help" in done.stderr


def test_what_it_prints_works_and_ctrl_c_ends_it_all(tmp_path):
    with Command(tmp_path) as cluster:
        output = cluster.wait_for("Ctrl-C ends the cluster")
        pids = cluster.pids()
        assert len(pids) == 5 and all(pathlib.Path(f"/proc/{pid}").exists() for pid in pids)
        url = shell(printed(output, "URL=") + '\necho "$URL"').strip()
        assert re.fullmatch(r"ws://127\.0\.0\.1:\d+/\S+", url)
        health = shell(re.search(r"How one of them is: (curl \S+)", output)[1])
        # standalone servers do not tell each other: one of three has the client
        times = 1 if '"cluster"' in health else 3

        async def run():
            async with websockets.connect(url) as connection:
                for _ in range(times):
                    shell(printed(output, "curl ") + " --fail --silent --show-error")
                assert await asyncio.wait_for(connection.recv(), 30) == "Hello dear users!"
                assert cluster.end() == 0
                with pytest.raises(websockets.ConnectionClosed):
                    await asyncio.wait_for(connection.recv(), 30)
                assert connection.close_code == 1001

        asyncio.run(run())
        assert cluster.output().endswith("Ending\n")


def test_sigterm_ends_a_cluster_of_one(tmp_path):
    with Command(tmp_path, "--nodes", "1") as cluster:
        cluster.wait_for("Ctrl-C ends the cluster")
        assert len(cluster.pids()) == 3
        cluster.process.terminate()
        assert cluster.ended() == 0


def test_what_it_started_does_not_outlive_its_kill(tmp_path):
    with Command(tmp_path, "--nodes", "2") as cluster:
        cluster.wait_for("Ctrl-C ends the cluster")
        cluster.process.kill()
        cluster.process.wait()
        until = time.monotonic() + 60
        while set(cluster.pids()) & process_groups():
            assert time.monotonic() < until, cluster.output()
            time.sleep(0.05)


@pytest.mark.parametrize("number, name", [(1, "redis"), (2, "pusher-1"), (0, "nginx")])
def test_one_that_dies_ends_the_others(tmp_path, number, name):
    with Command(tmp_path, "--nodes", "2") as cluster:
        cluster.wait_for("Ctrl-C ends the cluster")
        os.kill(cluster.pids()[number], signal.SIGKILL)
        assert cluster.ended() == 1
        assert f"./cluster: {name} has ended with status 137. The end of its log:\n" in cluster.output()


def test_one_that_does_not_start_is_told_with_its_log(tmp_path):
    with Command(tmp_path, "--set", "pushca.cluster.beat-ms=soon") as cluster:
        assert cluster.ended() == 1
        output = cluster.output()
        assert re.search(r"\./cluster: pusher-\d has ended with status 1\. The end of its log:\n", output)
        assert ': --set: pushca.cluster.beat-ms: expected milliseconds' in output


def test_a_port_that_is_taken_is_said(tmp_path):
    with contextlib.ExitStack() as stack:
        for port in (8050, 16379, 18082):
            with contextlib.suppress(OSError):  # somebody else's will do
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
        with Command(tmp_path, "--nodes", "2") as cluster:
            output = cluster.wait_for("Ctrl-C ends the cluster")
            for port in (8050, 16379, 18082):
                assert re.search(rf"^Port {port} is taken: .* uses \d+$", output, re.MULTILINE)
            assert "http://127.0.0.1:8050/" not in output
            assert cluster.end() == 0


@pytest.mark.parametrize("before", [signal.SIG_DFL, signal.SIG_IGN])
def test_ctrl_c_while_it_starts(tmp_path, before):
    """Also when it was ignored by whoever started it, as scripts do for what goes on in the background."""
    with Command(tmp_path, "--nodes", "2", begin=lambda: signal.signal(signal.SIGINT, before)) as cluster:
        until = time.monotonic() + 60
        while not list(tmp_path.glob("pushca-cluster-*/redis.log")):
            assert time.monotonic() < until
            time.sleep(0.01)
        assert cluster.end() == 0

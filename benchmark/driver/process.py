"""Processes of our own: pinned to cores, bounded in time, ended by their id whatever happens to us."""

import ctypes
import os
import pathlib
import signal
import socket
import subprocess
import time

STOP_S = 8
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)
_alive = []


class Trouble(Exception):
    """Something could not run; the text says what, for the reader of the table."""


class Process:
    """A started command; its output goes to the files NAME.out and NAME.err in folder."""

    def __init__(self, name, command, folder, cores=()):
        self.name = name
        self.out = folder / f"{name}.out"
        self.err = folder / f"{name}.err"
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            try:
                self.popen = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=folder,
                    start_new_session=True, preexec_fn=lambda: _become_child(cores))
            except OSError as error:
                raise Trouble(f"{name} did not start: {error.strerror}") from None
        self.pid = self.popen.pid
        _alive.append(self)

    def has_ended(self):
        return self.popen.poll() is not None

    def wait(self, seconds):
        """The exit status; Trouble when it takes longer."""
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Trouble(f"{self.name} was still running after {seconds:.0f} s") from None

    def stop(self):
        """Ends it, politely first, and all that it has started."""
        if not self.has_ended():
            self.popen.terminate()
            try:
                self.popen.wait(STOP_S)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(self.pid, signal.SIGKILL)  # a session of its own: nobody else is in it
        except ProcessLookupError:
            pass
        self.popen.wait()
        if self in _alive:
            _alive.remove(self)

    def last_words(self):
        """The last line it has said, for a message."""
        for path in (self.err, self.out):
            lines = path.read_text(errors="replace").strip().splitlines()
            if lines:
                return lines[-1][:200]
        return "it said nothing"

    def family(self):
        """Its id and those of its children."""
        path = pathlib.Path(f"/proc/{self.pid}/task/{self.pid}/children")
        try:
            return [self.pid, *map(int, path.read_text().split())]
        except OSError:
            return [self.pid]


def stop_all():
    for process in list(_alive):
        process.stop()


def wait_for_port(process, port, seconds=10):
    """Returns when the port takes a connection; Trouble when the process ends before, or never opens it."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if process.has_ended():
            raise Trouble(f"{process.name} ended at start: {process.last_words()}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.01)
    raise Trouble(f"{process.name} opened no port within {seconds} s: {process.last_words()}")


def free_ports(count):
    """Ports nobody listens on at this moment."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def _become_child(cores):
    """In the child, before the command begins."""
    if cores:
        os.sched_setaffinity(0, cores)
    # even where nothing of us is left to end it
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

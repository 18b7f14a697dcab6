"""The machine under the measurement: its cores, and what the header of the table says of it."""

import datetime
import os
import pathlib
import platform
import re
import subprocess

import servers

CPUS = pathlib.Path("/sys/devices/system/cpu")


def pins(allowed=None, siblings=None):
    """(cores of servers, cores of generators): one each, not two halves of the same core if it can be helped; empty
    sets, which pin nothing, where there is one core alone."""
    cores = sorted(os.sched_getaffinity(0) if allowed is None else allowed)
    if len(cores) < 2:
        return set(), set()
    same = (siblings or _siblings)(cores[0])
    others = [core for core in cores[1:] if core not in same] or cores[1:]
    return {cores[0]}, {others[0]}


def _siblings(core):
    """The cores that share the core's arithmetic."""
    try:
        text = (CPUS / f"cpu{core}/topology/thread_siblings_list").read_text()
    except OSError:
        return set()
    found = set()
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return found


def busy_s(cores, text=None):
    """Seconds the cores have been at work so far, for whomever, stolen time included; all cores when none are named."""
    if text is None:
        text = pathlib.Path("/proc/stat").read_text()
    ticks = 0
    for line in text.splitlines():
        found = re.match(r"cpu(\d+) +(.*)", line)
        if found and (not cores or int(found[1]) in cores):
            user, nice, system, _, _, irq, softirq, stolen = map(int, found[2].split()[:8])
            ticks += user + nice + system + irq + softirq + stolen
    return ticks / os.sysconf("SC_CLK_TCK")


def header(build, pins_used):
    """Lines that say where, when and with what it was measured."""
    on_server, on_load = pins_used
    pinning = (f"servers on core {min(on_server)}, generators on core {min(on_load)}" if on_server
               else "none: there is one core alone, which servers and generators share")
    return [
        f"machine   {_cpu_model()}, {len(os.sched_getaffinity(0))} cores usable, {_memory_gib():.0f} GiB",
        f"system    {platform.system()} {platform.release()}, {_distribution()}",
        f"date      {datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d %H:%M} UTC",
        f"pinning   {pinning}",
        f"versions  {', '.join(versions(build))}",
    ]


def versions(build):
    return [
        _version("pushca", [str(build / "pushca"), "--version"]),
        _version("nginx", [servers.program("nginx"), "-v"]),
        f"nchan {_package('libnginx-mod-nchan')}",
        _version("nats-server", [servers.program("nats-server"), "--version"]),
        _version("mosquitto", [servers.program("mosquitto"), "-h"]),
        _version("wrk", [servers.program("wrk"), "-v"]),
    ]


def _version(name, command):
    if not command[0]:
        return f"{name} not installed"
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False,
                              stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return f"{name} (unknown)"
    return f"{name} {version_in(said.stdout + said.stderr)}"


def version_in(text):
    """The first thing in the first line that looks like a version."""
    found = re.search(r"\d+\.\d[\w.+~-]*", text.partition("\n")[0])
    return found[0] if found else "(unknown)"


def _package(name):
    try:
        said = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", name], capture_output=True, text=True,
                              timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "(unknown)"
    return said.stdout or "not installed"


def _cpu_model():
    text = pathlib.Path("/proc/cpuinfo").read_text()
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1] if found else platform.machine()


def _memory_gib():
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _distribution():
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "unknown")
    except OSError:
        return "unknown distribution"

"""One run: a fresh server, a generator against it, and what came of it."""

import contextlib
import json
import pathlib
import re
import resource
import shutil
import tempfile

import plan
import process
import rows
import servers
import stats

PATIENCE = 3         # a run may take so many times what was planned,
PATIENCE_S = 15      # and so much more
WRK_LINE = re.compile(r"Requests/sec:\s+([\d.]+)")
WRK_ERRORS = re.compile(r"^\s+(Socket errors|Non-2xx).*$", re.MULTILINE)


def once(job, build, pins, rate, seconds_left):
    """The figures of one run as a dictionary; Trouble when it could not run or would not end.
    pins: (cores of servers, cores of generators); rate: messages per second of an open loop, or None."""
    on_server, on_load = _cores(job, pins)
    longest = min(plan.seconds_of(job) * PATIENCE + PATIENCE_S, seconds_left)
    with _folder() as folder, servers.running(
            job.target, folder, build, on_server, job.shards, job.server_options) as server:
        if job.tool == "wrk":
            run = _wrk(job, folder, server, on_load, longest)
        else:
            run = _load(job, build, folder, server, on_load, rate, longest)
    if job.layout != rows.APART and "deliveries" in run:
        run["free_rate"] = stats.free_rate(run, max(1, len(on_load)))
    return run


def _cores(job, pins):
    on_server, on_load = pins
    if job.layout == rows.SHARE_ONE:
        return on_server, on_server
    if job.layout == rows.SHARE_TWO:
        return on_server | on_load, on_server | on_load
    return on_server, on_load


@contextlib.contextmanager
def _folder():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="pushca-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def load_command(job, build, server, rate):
    command = [str(build / "pushca-load"), job.scenario, "--target", job.target, "--port", str(server.port),
               "--clients", str(job.clients), "--seconds", str(job.seconds or 1), "--warmup", str(job.warmup),
               *job.options]
    if server.http_port:
        command += ["--http-port", str(server.http_port)]
    for pid in server.pids:
        command += ["--pid", str(pid)]
    if rate:
        command += ["--rate", f"{rate:.0f}"]
    return command


def spins(job, cores):
    """A generator that has a core of its own never sleeps: being woken would be paid by the server. (wrk has no time to
    sleep either.) Idle clients sleep, and who waits for processes to come to rest does."""
    return bool(cores) and job.layout == rows.APART and job.scenario not in ("idle", "storm")


def _load(job, build, folder, server, cores, rate, longest):
    command = load_command(job, build, server, rate) + ["--spin"] * spins(job, cores)
    out = _finished("pushca-load", command, folder, cores, longest)
    try:
        return json.loads(out)
    except ValueError:
        raise process.Trouble(f"pushca-load printed no JSON: {out[:100]!r}") from None


def _wrk(job, folder, server, cores, longest):
    program = servers.program("wrk")
    if not program:
        raise process.Trouble(servers.NOT_INSTALLED)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    out = _finished("wrk", [program, "-t1", "-c64", f"-d{max(1, round(job.seconds + job.warmup))}s",
                            f"http://127.0.0.1:{server.port}/200"], folder, cores, longest)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wrk_figures(out, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime,
                       max(1, round(job.seconds + job.warmup)))


def wrk_figures(out, load_cpu_s, seconds):
    found = WRK_LINE.search(out)
    if not found:
        raise process.Trouble(f"wrk gave no rate: {out[-100:]!r}")
    errors = WRK_ERRORS.search(out)
    if errors:
        raise process.Trouble(f"wrk met errors: {errors[0].strip()}")
    return {"scenario": "http", "target": "nginx", "mode": "wrk", "rate": float(found[1]),
            "load_busy": load_cpu_s / seconds}


def _finished(name, command, folder, cores, longest):
    """What the command printed; Trouble when it failed or took too long."""
    running = process.Process(name, command, folder, cores)
    try:
        status = running.wait(longest)
        if status:
            raise process.Trouble(f"{name} failed with status {status}: {running.last_words()}")
        return running.out.read_text()
    finally:
        running.stop()

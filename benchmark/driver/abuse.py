"""./bench abuse: what well-behaved clients notice while somebody abuses the server."""

import argparse
import json
import os
import pathlib
import sys
import tempfile
import time

import machine
import process
import servers
import stats

ROOT = pathlib.Path(__file__).resolve().parents[2]
ATTACK = ROOT / "benchmark/abuse/attack.py"
CLIENTS = 1000
MOST_RATIO = 2
CONNECT_S = 1.0  # until all clients are there, before the attack begins
SETTLE_S = 1.0   # of attack before anything is measured
FLAWS = ("lost", "doubled", "swapped", "torn", "broken")

# What it is, and settings that bring its limit within reach of a few seconds.
ABUSES = {
    "slow-heads": ("500 requests whose heads come byte by byte", ("pushca.limits.head-arrival-ms=2s",)),
    "slow-bodies": ("500 requests whose bodies come byte by byte", ("pushca.limits.body-arrival-ms=2s",)),
    "slow-handshakes": ("500 handshakes that come byte by byte", ("pushca.limits.handshake-ms=2s",)),
    "never-reading": ("20 clients that read nothing get 16 KiB messages all the time", ()),
    "half-open": ("500 clients that fall silent, and more when they are closed",
                  ("pushca.pusher.ping-interval-ms=1s", "pushca.pusher.pong-wait-ms=1s")),
    "ping-flood": ("50 clients that send pings without end", ()),
    "tiny-fragments": ("50 clients that send messages in fragments of one byte", ()),
    "unknown-commands": ("50 clients that send unknown commands without end", ()),
    "connection-storm": ("connect, handshake, close, 100 at a time without end", ()),
    "descriptors": ("as many connections as there may be, and more",
                    ("pushca.pusher.socket-pool-size=2000", "pushca.limits.http-connections=500")),
    "memory": ("300 bodies of a megabyte that are never finished, budget 128 MB",
               ("pushca.limits.memory-bytes=128MB",)),
    "huge-json": ("4 connections that post a mebibyte of values or of levels without end", ()),
}

ABOUT = """\
Measures 1,000 clients that send each other 5 messages a second, quiet and while one abuse goes on, in
turns. Nothing may be lost, and p99 of the latency may at most double. The attacker has the generator's
core, at idle priority."""


def arguments(words):
    parser = argparse.ArgumentParser(
        prog="./bench abuse", description=ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="abuses:\n" + "\n".join(f"  {name:<18}{what}" for name, (what, _) in ABUSES.items()))
    parser.add_argument("names", nargs="*", metavar="ABUSE")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4, help="of each run")
    parser.add_argument("--rate", type=float, default=5000, help="messages a second, of all clients together")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release", help=argparse.SUPPRESS)
    options = parser.parse_args(words)
    for name in options.names:
        if name not in ABUSES:
            parser.error(f"no abuse {name}; there are {', '.join(ABUSES)}")
    if options.rounds < 1 or options.seconds <= 0 or options.rate <= 0:
        parser.error("--rounds, --seconds and --rate are greater than nothing")
    options.names = options.names or list(ABUSES)
    return options


def once(options, pins, name, attacked):
    """The generator's figures of one run."""
    on_server, on_load = pins
    with tempfile.TemporaryDirectory(prefix="pushca-abuse-") as where:
        folder = pathlib.Path(where)
        sets = [word for setting in ABUSES[name][1] for word in ("--set", setting)]
        with servers.running("pushca", folder, options.build, on_server, 1, sets) as server:
            load = process.Process("pushca-load", _load_command(options, server), folder, on_load)
            _put_first(load.pid)
            attack = None
            try:
                time.sleep(CONNECT_S)
                attack = attacked and process.Process("attack", _attack_command(options, server, name), folder, on_load)
                status = load.wait(SETTLE_S + options.seconds + 40)
                if status:
                    raise process.Trouble(f"pushca-load failed with status {status}: {load.last_words()}")
                if attack and attack.has_ended():
                    raise process.Trouble(f"the attack ended before its time: {attack.last_words()}")
                return json.loads(load.out.read_text())
            finally:
                for running in (attack, load):
                    if running:
                        running.stop()


def _put_first(pid):
    """The generator shares its core with the attacker: waiting for that one would be measured as the server's."""
    try:
        os.sched_setscheduler(pid, os.SCHED_RR, os.sched_param(1))
    except PermissionError:
        print("not permitted to give the generator the first turn on its core: latencies will be too long", file=sys.stderr)


def _attack_command(options, server, name):
    return [sys.executable, str(ATTACK), name, "--port", str(server.port), "--http-port", str(server.http_port),
            "--seconds", str(SETTLE_S + options.seconds + 60)]


def _load_command(options, server):
    command = [str(options.build / "pushca-load"), "pairs", "--target", "pushca", "--port", str(server.port),
               "--http-port", str(server.http_port), "--clients", str(CLIENTS), "--rate", str(options.rate),
               "--warmup", str(CONNECT_S + SETTLE_S), "--seconds", str(options.seconds)]
    for pid in server.pids:
        command += ["--pid", str(pid)]
    return command


class Rows:
    """The runs of every abuse: pairs of a quiet and an attacked one."""

    def __init__(self, names):
        self.pairs = {name: [] for name in names}
        self.trouble = {name: [] for name in names}

    def flaws(self, name):
        return sum(int(run.get(flaw, 0)) for pair in self.pairs[name] for run in pair for flaw in FLAWS)

    def ratio(self, name):
        return stats.median(a["p99_us"] / q["p99_us"] for q, a in self.pairs[name])

    def is_good(self, name):
        return bool(self.pairs[name]) and not self.trouble[name] and not self.flaws(name) \
            and self.ratio(name) <= MOST_RATIO

    def line(self, name):
        if not self.pairs[name]:
            return f"| {name} | | | | | | {'; '.join(self.trouble[name])} |"
        quiet = stats.median(q["p99_us"] for q, _ in self.pairs[name])
        attacked = stats.median(a["p99_us"] for _, a in self.pairs[name])
        least, most = stats.spread(a["p99_us"] / q["p99_us"] for q, a in self.pairs[name])
        busy = stats.median(a["server_busy"] for _, a in self.pairs[name])
        return (f"| {name} | {quiet:.0f} | {attacked:.0f} | {self.ratio(name):.2f} ({least:.2f} to {most:.2f}) | {busy:.2f} "
                f"| {self.flaws(name)} | {'yes' if self.is_good(name) else 'NO ' + '; '.join(self.trouble[name])} |")


def main(words):
    options = arguments(words)
    pins = machine.pins()
    servers.file_limit()
    rows = Rows(options.names)
    begun = time.monotonic()
    folder = ROOT / "build/bench"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with open(folder / "abuse.jsonl", "w", encoding="utf-8") as out:
            for number in range(options.rounds):
                for name in options.names:
                    print(f"round {number + 1} of {options.rounds}: {name}", file=sys.stderr, flush=True)
                    _pair(options, pins, name, rows, out)
    finally:
        process.stop_all()
    print("\n".join([*machine.header(options.build, pins), f"took      {time.monotonic() - begun:.0f} s", "",
                     "| abuse | quiet p99 us | attacked p99 us | ratio (least to most) | server busy | lost or wrong | held |",
                     "|---|--:|--:|--:|--:|--:|---|", *map(rows.line, options.names)]))
    return 0 if all(map(rows.is_good, options.names)) else 1


def _pair(options, pins, name, rows, out):
    try:
        pair = [once(options, pins, name, attacked) for attacked in (False, True)]
    except process.Trouble as trouble:
        rows.trouble[name].append(str(trouble))
        return
    rows.pairs[name].append(pair)
    out.write(json.dumps({"abuse": name, "quiet": pair[0], "attacked": pair[1]}) + "\n")
    out.flush()


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    sys.exit(main(sys.argv[1:]))

"""./bench: measures this server beside a raw relay and its peers, and prints what came of it."""

import argparse
import json
import os
import pathlib
import resource
import signal
import sys
import time

import machine
import plan
import process
import report
import rows
import runs
import servers
import verdicts

ROOT = pathlib.Path(__file__).resolve().parents[2]
HARD_LIMIT_S = 10  # after the limit, for ending what runs

ABOUT = """\
Measures this server beside a raw relay that only copies bytes, and beside nginx with nchan, NATS and
Mosquitto where they are installed; prints what it measured and what was wanted. Ends by itself within
15 minutes. Every server it starts is its own, on a free port of 127.0.0.1.

  ./bench                 everything
  ./bench quick           everything with fewer and shorter runs, within 3 minutes
  ./bench [quick] ROW...  only these rows
  ./bench guard           counts instructions instead of time, and compares them with the last count
  ./bench abuse           what well-behaved clients notice while somebody abuses the server
  ./bench cluster         three servers, Redis and nginx against one server alone

One line of JSON per run goes to standard output and to build/bench/runs.jsonl. Exit status: 0 measured; 1 something could not run,
or pushca or raw lost, doubled, swapped or tore a message; 2 wrong command line; 130 interrupted."""


def arguments(words):
    parser = argparse.ArgumentParser(
        prog="./bench", description=ABOUT, epilog=_rows_help(), formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="./bench [quick] [ROW...] [--rounds N] | ./bench guard|abuse|cluster")
    parser.add_argument("names", nargs="*", metavar="ROW", help="quick, or rows of the table")
    parser.add_argument("--rounds", type=int, help="at most so many rounds")
    parser.add_argument("--plan", action="store_true", help="only say what would run, and how long")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release", help=argparse.SUPPRESS)
    parser.add_argument("--elapsed", type=float, default=0, help=argparse.SUPPRESS)
    parsed = parser.parse_intermixed_args(words)
    parsed.profile = rows.QUICK if "quick" in parsed.names else rows.FULL
    asked = [name for name in parsed.names if name != "quick"]
    for name in asked:
        if not chosen(rows.rows(parsed.profile), [name]):
            parser.error(f"no row {name}; there are {', '.join(verdicts.row_names())}")
    if parsed.rounds is not None and parsed.rounds < 1:
        parser.error("--rounds: at least 1")
    parsed.rows = chosen(rows.rows(parsed.profile), asked)
    return parsed


def _rows_help():
    return "rows:\n" + "\n".join(f"  {row.name:<14}{row.title}" for row in rows.rows(rows.FULL))


def chosen(all_rows, names):
    """The rows of these names, or that begin with one of them and a dash; all of them when there are no names."""
    return [row for row in all_rows
            if not names or any(row.name == name or row.name.startswith(f"{name}-") for name in names)]


def say(text, is_passing=False):
    """A line for who is waiting; a passing one is replaced by the next where there is a terminal."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="" if is_passing else "\n", file=sys.stderr, flush=True)
    else:
        print(text, file=sys.stderr, flush=True)


class Bench:
    """The runs of some rows, one after the other, until the time is over."""

    def __init__(self, options, until, out):
        self.options = options
        self.until = until
        self.out = out
        self.pins = machine.pins()
        self.results = verdicts.Results()

    def run(self, chosen_rows, rounds):
        begun, planned = time.monotonic(), 0
        for number in range(rounds):
            jobs = plan.order(chosen_rows, number, rounds)
            seconds = sum(map(plan.seconds_of, jobs))
            slowness = (time.monotonic() - begun) / planned if planned else 1
            if number and time.monotonic() + seconds * slowness > self.until:
                say(f"no time for more than {_rounds(number)}")
                return
            planned += seconds
            for place, job in enumerate(jobs):
                left = max(0, self.until - time.monotonic()) / 60
                say(f"round {number + 1} of {rounds}, run {place + 1} of {len(jobs)}, "
                    f"at most {left:.1f} minutes more: {job.key}", is_passing=True)
                try:
                    self.run_one(job, number)
                except process.Trouble as trouble:
                    self.results.add_trouble(job.key, str(trouble))
                    say(f"round {number + 1}: {job.key}: {trouble}")

    def run_one(self, job, number):
        if servers.missing(job.target):
            raise process.Trouble(servers.missing(job.target))
        if job.layout == rows.SHARE_TWO and not self.pins[0]:
            raise process.Trouble("there is one core alone")
        left = self.until - time.monotonic()
        if left < plan.seconds_of(job):
            raise process.Trouble("no time was left")
        rate = None
        if job.half_of:
            known = self.results.runs.get(job.half_of, {}).get(number)
            if not known:
                raise process.Trouble(f"without {job.half_of} its rate is not known")
            rate = known["rate"] / 2
        run = self.watched(lambda: self.once(job, rate, left))
        self.results.add(job.key, number, run)
        line = json.dumps({"round": number + 1, "job": job.key, **run})
        self.out.write(line + "\n")
        self.out.flush()
        print(line, flush=True)

    def once(self, job, rate, left):
        """The figures of one run."""
        return runs.once(job, self.options.build, self.pins, rate, left)

    def watched(self, measure):
        """The run, with how long it took in all and what part of the cores somebody else had meanwhile."""
        cores = self.pins[0] | self.pins[1]
        begun, busy, own = time.monotonic(), machine.busy_s(cores), _children_s()
        run = measure()
        run["took_s"] = round(time.monotonic() - begun, 3)
        others = machine.busy_s(cores) - busy - (_children_s() - own)
        run["others_busy"] = round(max(0, others / run["took_s"] / max(1, len(cores))), 3)
        return run


def _children_s():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main(words):
    started = time.monotonic()
    options = arguments(words)
    limit_s = plan.limit_seconds(options.rows, options.profile.limit_s - options.elapsed)
    rounds = min(options.rounds or options.profile.rounds, options.profile.rounds)
    rounds = plan.fitting_rounds(options.rows, rounds, limit_s)
    chosen_rows = plan.with_rounds(options.rows, rounds)
    seconds = plan.total_seconds(chosen_rows, rounds)
    planned = (f"{options.profile.name}, {_rounds(rounds)}, about {seconds / 60:.1f} minutes, "
               f"at most {limit_s / 60:.1f}")
    say(f"bench: {planned}")
    if options.plan:
        for number in range(rounds):
            print(f"round {number + 1}:", " ".join(job.key for job in plan.order(chosen_rows, number, rounds)))
        return 0
    bound(limit_s + HARD_LIMIT_S)
    servers.file_limit()
    folder = ROOT / "build/bench"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with open(folder / "runs.jsonl", "w", encoding="utf-8") as out:
            bench = Bench(options, started + limit_s, out)
            head = machine.header(options.build, bench.pins)
            try:
                bench.run(chosen_rows, rounds)
            except KeyboardInterrupt:
                say("interrupted; what was measured so far:")
                _print_all(head, planned, chosen_rows, bench.results)
                return 130
    finally:
        be_deaf()
        process.stop_all()
    _print_all(head, planned, chosen_rows, bench.results)
    return verdicts.exit_status(plan.unique_jobs(chosen_rows), bench.results)


def _rounds(count):
    return "1 round" if count == 1 else f"{count} rounds"


def be_deaf():
    """To signals, while all is ended."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)


def bound(seconds):
    """However it ends, it ends: by time, by signal, by Ctrl-C, and then by way of `finally`."""
    def give_up(number, frame):
        sys.exit(f"bench: ended by {signal.Signals(number).name}")
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
        signal.signal(number, give_up)
    signal.alarm(int(seconds))


def _print_all(head, planned, chosen_rows, results):
    say("", is_passing=True)
    print("\n".join([*head, f"runs      {planned}", "", report.main_table(chosen_rows, results), "", report.NOTES, "",
                     report.target_table([row.name for row in chosen_rows], results)]), flush=True)


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    sys.exit(main(sys.argv[1:]))

"""./bench cluster: three servers, Redis and nginx, against one server alone on the same cores."""

import argparse
import json
import os
import pathlib
import shutil
import sys
import tempfile
import time

import cluster_costs
import cluster_nodes
import cluster_report
import cluster_rows
import machine
import main as bench
import plan
import process
import redis_info
import runs
import servers

ROOT = bench.ROOT
EACH_S = 40  # about what counting everything once takes, beside the idle seconds

ABOUT = """\
Measures a cluster of three servers with Redis and nginx on this machine, and one server alone, in turns, all on the same core,
the generator on another: a pool of connected clients, messages between random pairs of them, by WebSocket and by HTTP.

  ./bench cluster                 everything
  ./bench cluster quick           everything with fewer and shorter runs
  ./bench cluster [quick] ROW...  only these rows

One line of JSON per run goes to standard output and to build/bench/cluster.jsonl, what Redis did for each thing to
build/bench/cluster-costs.json. Exit status: 0 measured; 1 something could not run, or a message was lost, doubled, swapped or torn;
2 wrong command line; 130 interrupted."""


def arguments(words):
    parser = argparse.ArgumentParser(
        prog="./bench cluster", description=ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="./bench cluster [quick] [ROW...] [--rounds N]",
        epilog="rows:\n" + "\n".join(f"  {row.name:<16}{row.title}" for row in cluster_rows.all_rows(cluster_rows.FULL)))
    parser.add_argument("names", nargs="*", metavar="ROW", help="quick, or rows of the table")
    parser.add_argument("--rounds", type=int, help="at most so many rounds")
    parser.add_argument("--plan", action="store_true", help="only say what would run, and how long")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release", help=argparse.SUPPRESS)
    parser.add_argument("--elapsed", type=float, default=0, help=argparse.SUPPRESS)
    parsed = parser.parse_intermixed_args(words)
    parsed.profile = cluster_rows.QUICK if "quick" in parsed.names else cluster_rows.FULL
    asked = [name for name in parsed.names if name != "quick"]
    everything = cluster_rows.all_rows(parsed.profile)
    for name in asked:
        if not cluster_rows.chosen(everything, [name]):
            parser.error(f"no row {name}; there are {', '.join(row.name for row in everything)}")
    if parsed.rounds is not None and parsed.rounds < 1:
        parser.error("--rounds: at least 1")
    parsed.rows = cluster_rows.chosen(everything, asked)
    return parsed


class Bench(bench.Bench):
    """The same, where a run may need a cluster."""

    def once(self, job, rate, left):
        if job.target != "cluster":
            return super().once(job, rate, left)
        longest = min(plan.seconds_of(job) * runs.PATIENCE + runs.PATIENCE_S + EACH_S, left)
        folder = pathlib.Path(tempfile.mkdtemp(prefix="pushca-bench-"))
        on_server, on_load = self.pins
        try:
            with cluster_nodes.running(folder, self.options.build, on_server, job.nodes,
                                       through_nginx=job.through_nginx, deploy_mode=job.deploy_mode) as cluster:
                if job.scenario == "rest":
                    return cluster_costs.rest(cluster, job.seconds)
                if job.scenario == "each":
                    return cluster_costs.Each(cluster, self.options.build, folder, on_load, job.seconds).run()
                return self.loaded(job, folder, cluster, longest)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def loaded(self, job, folder, cluster, longest):
        on_load = self.pins[1]
        command = load_command(job, self.options.build, cluster) + ["--spin"] * runs.spins(job, on_load)
        with redis_info.Sampler(cluster.redis_port) as sampler:
            out = runs._finished("pushca-load", command, folder, on_load, longest)
        run = json.loads(out)
        if job.through_nginx and job.scenario == "http":
            run["far"] = 1 - 1 / job.nodes  # it deals them out in turn
        if "begin_s" in run:
            run.update(redis_figures(sampler.between(run["begin_s"], run["end_s"]), run["rate"]))
        return run


def redis_figures(seen, rate):
    """What Redis did for each delivery, of so many a second."""
    if not seen or not rate:
        return {}
    did, seconds = seen
    each = redis_info.scaled(did, 1 / (seconds * rate))
    return {"redis_calls": each["calls"], "redis_per_delivery": redis_info.commands(each),
            "bytes_per_delivery": each["in"] + each["out"]}


def load_command(job, build, cluster):
    command = [str(build / "pushca-load"), job.scenario, "--target", "pushca", "--port", _list(cluster.ports),
               "--http-port", _list(cluster.http_ports), "--clients", str(job.clients), "--seconds", str(job.seconds or 1),
               "--warmup", str(job.warmup), *job.options]
    for pid in cluster.pids:
        command += ["--pid", str(pid)]
    for name, pids in cluster.others:
        for pid in pids:
            command += ["--other", f"{name}={pid}"]
    return command


def _list(ports):
    return ",".join(map(str, ports))


def main(words):
    started = time.monotonic()
    options = arguments(words)
    limit_s = plan.limit_seconds(options.rows, options.profile.limit_s - options.elapsed) + EACH_S
    rounds = min(options.rounds or options.profile.rounds, options.profile.rounds)
    rounds = plan.fitting_rounds(options.rows, rounds, limit_s)
    chosen = plan.with_rounds(options.rows, rounds)
    planned = (f"{options.profile.name}, {rounds} rounds, about {plan.total_seconds(chosen, rounds) / 60:.1f} minutes, "
               f"at most {limit_s / 60:.1f}")
    bench.say(f"bench cluster: {planned}")
    if options.plan:
        for number in range(rounds):
            print(f"round {number + 1}:", " ".join(job.key for job in plan.order(chosen, number, rounds)))
        return 0
    bench.bound(limit_s + bench.HARD_LIMIT_S)
    servers.file_limit()
    folder = ROOT / "build/bench"
    folder.mkdir(parents=True, exist_ok=True)
    status = 0
    try:
        with open(folder / "cluster.jsonl", "w", encoding="utf-8") as out:
            runner = Bench(options, started + limit_s, out)
            head = machine.header(options.build, runner.pins)
            try:
                runner.run(chosen, rounds)
            except KeyboardInterrupt:
                bench.say("interrupted; what was measured so far:")
                status = 130
    finally:
        bench.be_deaf()
        process.stop_all()
    _print_all(head, planned, chosen, runner.results)
    found = cluster_report.costs(runner.results)
    if found:
        (folder / "cluster-costs.json").write_text(json.dumps(found, indent=1) + "\n")
    return status or exit_status(chosen, runner.results)


def exit_status(chosen, results):
    flawed = any(results.flaws(job.key) for job in plan.unique_jobs(chosen))
    return 1 if results.troubles or flawed else 0


def _print_all(head, planned, chosen, results):
    bench.say("", is_passing=True)
    print("\n".join([*head, f"runs      {planned}", "", cluster_report.main_table(chosen, results), "",
                     cluster_report.NOTES, "", cluster_report.costs_table(cluster_report.costs(results)), "",
                     cluster_report.target_table([row.name for row in chosen], results)]), flush=True)


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    sys.exit(main(sys.argv[1:]))

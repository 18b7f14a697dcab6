"""The tables of ./bench cluster: what was measured, what Redis did, and what was wanted."""

import cluster_costs
import cluster_rows
import redis_info
import report
import stats
import verdicts

HEADS = ("row", "target", "rate/s", "CPU s/M", "pushers", "redis", "nginx", "x alone", "far", "redis/d", "bytes/d",
         "p50 us", "p99 us", "l/d/s/t", "remarks")
NOTES = """\
CPU s/M: CPU seconds of pushers and Redis per million deliveries (storm: connects), then of each of them; nginx is not in it.
x alone: that by the server's alone of the same round, median of the rounds, all deliveries, near and far.
far: the part of the deliveries whose two clients are on different nodes (http through nginx: as many as not, by round robin).
redis/d, bytes/d: commands Redis did and bytes it read and wrote per delivery.
l/d/s/t: messages lost, doubled, swapped, torn, in all rounds. All else: median of the rounds."""


def main_table(chosen, results):
    lines, seen = [HEADS], set()
    for row in chosen:
        for job in row.jobs:
            if job.key not in seen and job.scenario not in ("rest", "each"):
                seen.add(job.key)
                lines.append(cells(job, results))
    return report.aligned(lines, left=(0, 1, 14))


def cells(job, results):
    row, _, name = job.key.partition(".")
    runs = results.runs.get(job.key)
    if not runs:
        return (row, name, *["-"] * 12, "; ".join(["not measured", *results.troubles.get(job.key, [])]))
    base = stats.median(stats.ratios(total_series(job.key, results), total_series(job.base, results)).values())
    each = [[_per_million(run, field) for run in runs.values()] for field in ("server_cpu_s", "redis_cpu_s", "nginx_cpu_s")]
    parts = [stats.median(value for value in values if value is not None) for values in each]
    number = report.number

    def median(field):
        return number(results.median(job.key, field))

    return (row, name, median("rate"), number(stats.median(total_series(job.key, results).values())),
            *map(number, parts), number(base), median("far"), median("redis_per_delivery"), median("bytes_per_delivery"),
            median("p50_us"), median("p99_us"), report._flaws(job, results), _remarks(job, results))


def total_series(key, results):
    """{round: CPU of pushers and Redis, seconds per million deliveries or connects}"""
    return {number: _per_million(run, "server_cpu_s") + (_per_million(run, "redis_cpu_s") or 0)
            for number, run in results.runs.get(key, {}).items() if _count(run)}


def _count(run):
    return run.get("deliveries") or run.get("connects")


def _per_million(run, field):
    return run[field] / _count(run) * 1e6 if _count(run) and run.get(field) is not None else None


def _remarks(job, results):
    found = [flaw.upper() for flaw in results.flaws(job.key) if flaw not in ("broken", "refused")]
    if results.is_generator_bound(job.key):
        found.append("generator-bound")
    for field, text in (("near_p99_us", "near p99 {} us"), ("far_p99_us", "far p99 {} us"),
                        ("last_p50_us", "last one after {} us"), ("late", "{} sent late by the generator"),
                        ("broken", "{} connections broke"), ("refused", "{} requests refused")):
        if results.median(job.key, field):
            found.append(text.format(report.number(results.median(job.key, field))))
    if results.disturbance([job.key]):
        found.append(f"others took {results.disturbance([job.key]):.0%} of the cores")
    if len(results.runs[job.key]) < verdicts.WANTED_ROUNDS:
        found.append(f"{len(results.runs[job.key])} rounds")
    return "; ".join(found + results.troubles.get(job.key, []))


# ---- what Redis does for each thing ----

THINGS = (("connect", "a client connects"), ("disconnect", "a client goes"),
          ("send_unknown", "a direct message to another node, looked up"),
          ("send_known", "a direct message to another node, known"), ("send_near", "a direct message on its node"),
          ("send_nobody", "a direct message to nobody"), ("multicast", "a multicast to all nodes"),
          ("find_any", "a message to any one of many"))


def costs(results):
    """{thing: {"commands":, "in":, "out":, "calls":}} and the idle model, from the runs of the row costs; {} without."""
    runs = [run for run in results.runs.get("costs.each", {}).values()]
    if not runs:
        return {}
    run = runs[-1]
    found = {name: summary(run[name]) for name, _ in THINGS if name in run}
    idles = {run["nodes"]: run for key in results.runs if key.startswith("costs.idle-")
             for run in results.runs[key].values()}
    for field, of in (("commands", lambda one: redis_info.commands(one["idle"])), ("in", lambda one: one["idle"]["in"]),
                      ("out", lambda one: one["idle"]["out"]), ("pusher_cpu_s", lambda one: one["pusher_cpu_s"]),
                      ("redis_cpu_s", lambda one: one["redis_cpu_s"])):
        model = cluster_costs.per_node_and_peer({nodes: of(one) for nodes, one in idles.items()})
        if model:
            found.setdefault("idle_node", {})[field], found.setdefault("idle_peer", {})[field] = model
    found["bytes_a_client"] = run["bytes_a_client"]
    return found


def summary(cost):
    return {"commands": redis_info.commands(cost), "in": cost["in"], "out": cost["out"], "calls": cost["calls"]}


def costs_table(found):
    """Lines of what each thing costs Redis."""
    if not found:
        return ""
    lines = [("", "commands", "bytes in", "bytes out", "which")]
    for name, text in THINGS + (("idle_node", "a second of an idle node"),
                                ("idle_peer", "a second, for each node that it knows")):
        if name in found:
            one = found[name]
            calls = sorted(one.get("calls", {}).items(), key=lambda item: -item[1])
            lines.append((text, report.number(one["commands"]), report.number(one["in"]), report.number(one["out"]),
                          ", ".join(f"{command} {times:.2f}" for command, times in calls if times >= 0.01)))
    return "\n".join([report.aligned(lines, left=(0, 4)), "",
                      f"memory of Redis for each client: {report.number(found['bytes_a_client'])} bytes"])


def target_table(names, results):
    lines = [("row", "wanted", "limit", "measured", "least - most", "verdict")]
    for one in cluster_rows.of_rows(names):
        verdict = verdicts.judge(one, results)
        lines.append((one.row, one.text, f"<= {report.number(one.limit)}",
                      "-" if verdict.value is None else report.number(verdict.value),
                      "-" if verdict.spread is None else " - ".join(map(report.number, verdict.spread)), verdict.text))
    return report.aligned(lines, left=(0, 1, 5))



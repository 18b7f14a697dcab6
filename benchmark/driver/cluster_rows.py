"""What ./bench cluster measures: the rows, the jobs that run for each in every round, and what was wanted of them."""

import dataclasses

import rows
import stats
import verdicts

NODES = 3
CPU_RATIO = 2.2
MULTICAST_RATIO = 1.1
DELAY_US = 1000
CONNECTIONS = 63  # that post: as many for each node
RATE = 200        # a second in an idle cluster
STEPS = (1000, 10000)  # messages a second, to see how many share a batch

FULL = rows.Profile("full", rounds=5, peer_rounds=0, large_rounds=3, idle_rounds=1, idle_seconds=8, seconds=3,
                    peer_seconds=0, warmup=1, limit_s=14.5 * 60)
QUICK = rows.Profile("quick", rounds=2, peer_rounds=0, large_rounds=1, idle_rounds=1, idle_seconds=3, seconds=1,
                     peer_seconds=0, warmup=0.6, limit_s=3.8 * 60)


@dataclasses.dataclass(frozen=True)
class Job(rows.Job):
    """A run against a cluster, or (target pushca) against one server that stands alone."""

    nodes: int = NODES
    through_nginx: bool = False
    deploy_mode: str = "cluster"


def all_rows(profile):
    """In the order of the table."""
    return (_ws(profile), _http(profile), _multicast(profile, 1000), _multicast(profile, 100), _delay(profile),
            _steps(profile), _storm(profile), _costs(profile))


def _job(profile, row, name, scenario, target="cluster", **more):
    return Job(**{"key": f"{row}.{name}", "target": target, "scenario": scenario, "rounds": profile.rounds,
                  "seconds": profile.seconds, "warmup": profile.warmup, **more})


def _ws(profile):
    alone = _job(profile, "ws", "alone", "pairs", "pushca")
    far = _job(profile, "ws", "cluster", "pairs", base=alone.key)
    near = _job(profile, "ws", "near", "pairs", base=alone.key, options=("--partner", "near"))
    fronted, proxied = _through_nginx(profile, "ws", "pairs", alone.key)
    return rows.Row("ws", "1,000 clients, random pairs whose two are on different nodes, closed loop; near: on the same "
                          "one; fronted, proxied: one alone and the cluster, all through nginx",
                    (alone, far, near, fronted, proxied))


def _through_nginx(profile, row, scenario, base, **more):
    return (_job(profile, row, "fronted", scenario, base=base, through_nginx=True, nodes=1, deploy_mode="standalone", **more),
            _job(profile, row, "proxied", scenario, base=base, through_nginx=True, **more))


def _http(profile):
    options = ("--verify", "--connections", str(CONNECTIONS))
    alone = _job(profile, "http", "alone", "http", "pushca", options=options)
    far = _job(profile, "http", "cluster", "http", base=alone.key, options=options)
    fronted, proxied = _through_nginx(profile, "http", "http", alone.key, options=options)
    return rows.Row("http", f"{CONNECTIONS} connections post to 1,000 clients of other nodes, each the next when the last "
                            "has arrived; fronted, proxied: through nginx", (alone, far, fronted, proxied))


def _multicast(profile, matches):
    """A node alone with its part of the receivers, and with all, against all on their nodes. A copy costs more the more
    sockets take turns in the same caches, with a cluster or without."""
    name = f"multicast-{matches}"
    alone = _job(profile, name, "alone", "fanout", "pushca", clients=matches)
    local = _job(profile, name, "local", "fanout", "pushca", clients=matches * NODES, base=alone.key)
    cluster = _job(profile, name, "cluster", "fanout", clients=matches * NODES, base=alone.key)
    return rows.Row(name, f"one message to {matches:,} clients on each node, the next when all have it; alone: one node "
                          "and its part; local: one server and all of them", (alone, local, cluster))


def _delay(profile):
    return rows.Row("delay", f"{RATE} messages a second in an idle cluster, of which half stay on their node", (
        _job(profile, "delay", "cluster", "pairs", options=("--partner", "mixed", "--rate", str(RATE)),
             seconds=profile.seconds * 4),))


def _steps(profile):
    return rows.Row("steps", "the pairs in an open loop, so many a second", tuple(
        _job(profile, "steps", f"{rate}", "pairs", options=("--rate", str(rate)), rounds=profile.large_rounds)
        for rate in STEPS))


def _storm(profile):
    alone = _job(profile, "storm", "alone", "storm", "pushca", clients=10000, seconds=0, warmup=0,
                 rounds=profile.large_rounds)
    cluster = dataclasses.replace(alone, key="storm.cluster", target="cluster", base=alone.key)
    return rows.Row("storm", "10,000 connects, a mass disconnect, 10,000 connects, each with a token", (alone, cluster))


def _costs(profile):
    common = {"rounds": 1, "seconds": profile.idle_seconds, "warmup": 0}
    idle = tuple(_job(profile, "costs", f"idle-{nodes}", "rest", nodes=nodes, **common) for nodes in (1, 2, 3, 5))
    each = _job(profile, "costs", "each", "each", **common)
    return rows.Row("costs", "what Redis does for idle nodes, and for each connect, send and multicast", (*idle, each))


def chosen(everything, names):
    return [row for row in everything
            if not names or any(row.name == name or row.name.startswith(f"{name}-") for name in names)]


# ---- what was wanted ----

def total_cpu(run):
    """Of the pushers and of Redis, us a delivery (seconds a million)."""
    if not run.get("deliveries"):
        return None
    return (run["server_cpu_s"] + run.get("redis_cpu_s", 0)) / run["deliveries"] * 1e6


def far_cpu(run, alone):
    """The same of a delivery from one node to another: those that stayed on their node cost what they cost alone."""
    total = total_cpu(run)
    far = run.get("far", 0)
    return None if total is None or not far else (total - (1 - far) * alone) / far


def far_ratios(results, key, base):
    """{round: CPU of a far delivery by that of a delivery of a server alone}"""
    alone, runs = results.series(base, "cpu_per_million"), results.runs.get(key, {})
    found = {number: far_cpu(run, alone[number]) for number, run in runs.items() if alone.get(number)}
    return stats.ratios({number: cpu for number, cpu in found.items() if cpu}, alone)


def multicast_ratios(results, name):
    """CPU of a multicast in the cluster by that of as many local copies."""
    parts = results.runs.get(f"{name}.local", {})
    whole = results.runs.get(f"{name}.cluster", {})
    return {number: total_cpu(run) / total_cpu(parts[number]) for number, run in whole.items()
            if number in parts and total_cpu(run) and total_cpu(parts[number])}


def delays(results):
    """p99 between two nodes, less that on one, in microseconds."""
    return {number: run["far_p99_us"] - run["near_p99_us"] for number, run in results.runs.get("delay.cluster", {}).items()
            if "far_p99_us" in run}


def _wanted(row, text, limit, values, *keys):
    return verdicts.Wanted(row, text, limit, values, keys)


def wanted():
    return [
        _wanted("ws", "pushers' and Redis' CPU per far delivery, x alone", CPU_RATIO,
                lambda results: far_ratios(results, "ws.cluster", "ws.alone"), "ws.cluster", "ws.alone"),
        _wanted("ws", "the same, both through nginx", CPU_RATIO,
                lambda results: far_ratios(results, "ws.proxied", "ws.fronted"), "ws.proxied", "ws.fronted"),
        _wanted("http", "pushers' and Redis' CPU per far delivery, x alone", CPU_RATIO,
                lambda results: far_ratios(results, "http.cluster", "http.alone"), "http.cluster", "http.alone"),
        _wanted("http", "the same, both through nginx", CPU_RATIO,
                lambda results: far_ratios(results, "http.proxied", "http.fronted"), "http.proxied", "http.fronted"),
        _wanted("multicast-1000", "CPU of a multicast, x the sum of its parts", MULTICAST_RATIO,
                lambda results: multicast_ratios(results, "multicast-1000"), "multicast-1000.cluster",
                "multicast-1000.local"),
        _wanted("delay", "p99 far less p99 near, us", DELAY_US, delays, "delay.cluster"),
    ]


def of_rows(names):
    return [one for one in wanted() if one.row in names]

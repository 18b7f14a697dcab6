"""What was wanted, and whether it was measured and met."""

import dataclasses

import rows
import stats

WANTED_ROUNDS = 5
FLAWS = ("lost", "doubled", "swapped", "torn")
FAULTS = ("broken", "refused", "crowd_lost", "crowd_doubled", "crowd_torn", "crowd_broken")  # as bad, in words only
LATE = 0.001  # a part of the messages, sent late by the generator, worth a word
OURS = ("raw", "pushca")
YARDSTICKS = ("raw", "nginx", *rows.PEERS)
DISTURBED = 0.1  # a part of the cores that others had, worth a word


class Results:
    """All runs so far, and what could not run."""

    def __init__(self):
        self.runs = {}      # key of a job -> {round: figures}
        self.troubles = {}  # key of a job -> texts, each once

    def add(self, key, number, run):
        self.runs.setdefault(key, {})[number] = run

    def add_trouble(self, key, text):
        texts = self.troubles.setdefault(key, [])
        if text not in texts:
            texts.append(text)

    def series(self, key, field):
        return {number: run[field] for number, run in self.runs.get(key, {}).items() if run.get(field) is not None}

    def median(self, key, field):
        return stats.median(self.series(key, field).values())

    def ratios(self, upper, lower, field):
        return stats.ratios(self.series(upper, field), self.series(lower, field))

    def flaws(self, key):
        """{flaw: how many messages in all rounds}, only those that there were."""
        sums = {flaw: sum(self.series(key, flaw).values()) for flaw in FLAWS + FAULTS}
        return {flaw: count for flaw, count in sums.items() if count}

    def is_generator_bound(self, key):
        load, server = self.median(key, "load_busy"), self.median(key, "server_busy")
        return load is not None and server is not None and stats.is_generator_bound(load, server)

    def disturbance(self, keys):
        """What part of the cores others had, in the worst of these jobs; 0 when it is not worth a word."""
        worst = max((self.median(key, "others_busy") or 0 for key in keys), default=0)
        return worst if worst > DISTURBED else 0


@dataclasses.dataclass(frozen=True)
class Wanted:
    """One figure of the requirements: a function of the results that gives {round: value}."""

    row: str
    text: str
    limit: float
    values: object
    keys: tuple          # the jobs it is made of
    at_least: bool = False
    is_rate: bool = False


def _ratio(row, text, limit, upper, lower, field, **more):
    return Wanted(row, text, limit, lambda results: results.ratios(upper, lower, field), (upper, lower), **more)


def _value(row, text, limit, key, field):
    return Wanted(row, text, limit, lambda results: results.series(key, field), (key,))


def _growth(results):
    ours = results.ratios("growth.pushca", "pairs.pushca", "cpu_per_million")
    return stats.ratios(ours, results.ratios("growth.raw", "pairs.raw", "cpu_per_million"))


def _direct_growth(results):
    ours = results.ratios("growth.http", "http.pushca", "cpu_per_million")
    return stats.ratios(ours, results.ratios("growth.raw", "pairs.raw", "cpu_per_million"))


def _per_match(results):
    """The cost of a match more, from 100 to 1,000, by that from 10 to 100: the POST itself drops out."""
    ten, hundred, thousand = (results.series(f"filter.{matches}-of-15000", "cpu_us_per_message")
                              for matches in (10, 100, 1000))
    return {number: (thousand[number] - hundred[number]) / 900 / ((hundred[number] - ten[number]) / 90)
            for number in ten if number in hundred and number in thousand and hundred[number] > ten[number]}


def wanted():
    """The requirements, in their order."""
    cpu = "cpu_per_million"
    found = [
        _ratio("pairs", "server CPU per delivery, x raw", 1.25, "pairs.pushca", "pairs.raw", cpu),
        _ratio("pairs", "deliveries per second, x raw", 0.8, "pairs.pushca", "pairs.raw", "rate", at_least=True,
               is_rate=True),
        _ratio("pairs", "with acknowledge: CPU, x raw", 3.2, "pairs.acked", "pairs.raw", cpu),
        _ratio("pairs", "protocol v2: CPU, x raw", 1.6, "pairs.v2", "pairs.raw", cpu),
        _ratio("http", "CPU per notification, x nchan", 0.45, "http.pushca", "http.nchan", cpu),
        _ratio("http", "rate, x nginx `return 200`", 0.6, "http.pushca", "http.nginx", "rate", at_least=True,
               is_rate=True),
    ]
    for clients in ("1000", "10000"):
        pushca, raw = f"fanout-{clients}.pushca", f"fanout-{clients}.raw"
        found += [
            _ratio(f"fanout-{clients}", "CPU per delivery, x raw", 1.05, pushca, raw, cpu),
            _ratio(f"fanout-{clients}", "time to the last delivery, p50, x raw", 1.08, pushca, raw, "last_p50_us"),
        ]
    return found + [
        _value("idle", "bytes of own memory per connection", 700, "idle.pushca", "bytes_per_client"),
        _value("idle", "us of CPU per connection-second", 0.2, "idle.pushca", "cpu_us_per_client_second"),
        Wanted("idle", "KiB per connection with TLS", 12, lambda results: "here; tests/system/test_tls.py does, and prints it",
               ()),
        _ratio("storm", "connects per second, x raw", 0.65, "storm.pushca", "storm.raw", "rate", at_least=True,
               is_rate=True),
        _ratio("crowd", "p99 of the others, x quiet", 1.2, "crowd.loud", "crowd.quiet", "p99_us"),
        Wanted("growth", "CPU at 10,000 by 1,000 clients, x raw's", 1.1, _growth,
               ("growth.pushca", "growth.raw", "pairs.pushca", "pairs.raw")),
        Wanted("growth", "direct POST: CPU at 15,000 by 1,000, x raw's", 1.1, _direct_growth,
               ("growth.http", "http.pushca", "growth.raw", "pairs.raw")),
        _ratio("filter", "10 matches: CPU among 15,000 by 1,000", 1.1, "filter.10-of-15000", "filter.10-of-1000",
               "cpu_us_per_message"),
        Wanted("filter", "CPU per match, of 1,000 by of 100", 1.1, _per_match,
               ("filter.10-of-15000", "filter.100-of-15000", "filter.1000-of-15000")),
        _ratio("latency", "p99, x raw", 1.3, "latency.pushca", "latency.raw", "p99_us"),
        _ratio("latency", "p99.9, x raw", 2, "latency.pushca", "latency.raw", "p999_us"),
        _ratio("cores", "deliveries per free second, 2 by 1 shard", 1.8, "cores.two", "cores.one", "free_rate",
               at_least=True),
        _ratio("cores", "CPU per delivery, 2 by 1 shard", 1.15, "cores.two", "cores.one", cpu),
    ]


@dataclasses.dataclass(frozen=True)
class Verdict:
    wanted: Wanted
    value: object        # None: not measured
    spread: object
    text: str


def judge(one, results):
    """The verdict on one requirement."""
    values = one.values(results)
    if isinstance(values, str):
        return Verdict(one, None, None, f"not measured: {values}")
    if not values:
        return Verdict(one, None, None, f"not measured: {_why_missing(one, results)}")
    value = stats.median(values.values())
    is_met = value >= one.limit if one.at_least else value <= one.limit
    flawed = [key for key in one.keys if results.flaws(key)]
    remarks = [f"{count:,} {flaw} by {key}" for key in flawed for flaw, count in results.flaws(key).items()]
    remarks += [f"{key} generator-bound" for key in one.keys if one.is_rate and results.is_generator_bound(key)]
    if len(values) < WANTED_ROUNDS:
        remarks.append(f"{len(values)} of {WANTED_ROUNDS} rounds")
    remarks += [f"{results.median(key, 'late'):,.0f} sent late by the generator of {key}" for key in one.keys
                if (results.median(key, "late") or 0) > LATE * (results.median(key, "deliveries") or 0)]
    if results.disturbance(one.keys):
        remarks.append(f"others took {results.disturbance(one.keys):.0%} of the cores")
    is_ours = any(key.partition(".")[2] not in YARDSTICKS for key in flawed)
    text = "met" if is_met and not is_ours else "not met"
    return Verdict(one, value, stats.spread(values.values()), "; ".join([text, *remarks]))


def _why_missing(one, results):
    for key in one.keys:
        if not results.runs.get(key):
            return "; ".join(results.troubles.get(key, [f"{key} did not run"]))
    return "its runs were in different rounds"


def exit_status(jobs, results):
    """1 when something could not run, or this server or the yardstick lost, doubled, swapped or tore a message."""
    if results.troubles:
        return 1
    return 1 if any(results.flaws(job.key) for job in jobs if job.target in OURS) else 0


def of_rows(names):
    """The requirements that belong to these rows."""
    return [one for one in wanted() if one.row in names]


def row_names():
    return [row.name for row in rows.rows(rows.FULL)]

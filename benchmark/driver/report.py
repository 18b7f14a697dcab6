"""The two tables: what was measured, and what was wanted."""

import plan
import stats
import verdicts

HEADS = ("row", "target", "rate/s", "CPU s/M", "x raw", "p50 us", "p99 us", "p99.9 us", "l/d/s/t", "spread of CPU",
         "remarks")
NOTES = """\
CPU s/M: CPU seconds of the server per million deliveries (storm: connects).
x raw: that by raw's of the same round, median of the rounds (http: by nchan's; crowd: by the quiet run's;
cores: by one shard's).
l/d/s/t: messages lost, doubled, swapped, torn, in all rounds. All else: median of the rounds.
generator-bound: the generator had no time left and the server had.
others took: what else ran on these cores meanwhile, or was taken from the machine."""


def main_table(rows, results):
    lines, seen = [HEADS], set()
    for row in rows:
        for part in plan.parts(row):
            for job in part:
                if job.key not in seen:
                    seen.add(job.key)
                    lines.append(cells(job, results))
    return aligned(lines, left=(0, 1, 10))


def cells(job, results):
    """One line of the table."""
    row, _, name = job.key.partition(".")
    if not results.runs.get(job.key):
        return (row, name, *["-"] * 8, "; ".join(["not measured", *results.troubles.get(job.key, [])]))
    cpu = _cpu_series(job, results).values()
    base = stats.median(stats.ratios(_cpu_series(job, results), _cpu_series(job, results, job.base)).values())
    times = [number(results.median(job.key, field)) for field in ("p50_us", "p99_us", "p999_us")]
    return (row, name, number(results.median(job.key, "rate")), number(stats.median(cpu)), number(base), *times,
            _flaws(job, results), _span(cpu), _remarks(job, results))


def _cpu_series(job, results, key=None):
    key = job.key if key is None else key
    return results.series(key, "cpu_us_per_connect" if job.scenario == "storm" else "cpu_per_million")


def _flaws(job, results):
    if not results.series(job.key, "lost") and not results.series(job.key, "torn"):
        return "-"
    found = results.flaws(job.key)
    return "/".join(f"{found.get(flaw, 0):.0f}" for flaw in verdicts.FLAWS)


def _span(values):
    span = stats.spread(values)
    return f"{number(span[0])} - {number(span[1])}" if span else "-"


def _remarks(job, results):
    found = []

    def median(field):
        return results.median(job.key, field)

    flaws = [flaw for flaw in results.flaws(job.key) if flaw not in ("broken", "refused")]
    if flaws:
        found.append(", ".join(flaw.upper() for flaw in flaws))
    if results.is_generator_bound(job.key):
        found.append("generator-bound")
    if job.tool == "wrk" and median("load_busy") > 0.95:
        found.append("wrk had no time left")
    for field, text in (("last_p50_us", "last one after {} us"), ("bytes_per_client", "{} bytes a client"),
                        ("cpu_us_per_client_second", "{} us CPU a client-second"),
                        ("free_rate", "{}/s of time left by the generator"),
                        ("cpu_us_per_message", "{} us CPU a message"),
                        ("crowd_last_p50_us", "a multicast's last copy after {} us"),
                        ("late", "{} sent late by the generator"), ("broken", "{} connections broke"),
                        ("refused", "{} requests refused")):
        if median(field):
            found.append(text.format(number(median(field))))
    if results.disturbance([job.key]):
        found.append(f"others took {results.disturbance([job.key]):.0%} of the cores")
    ran = len(results.runs[job.key])
    if ran < verdicts.WANTED_ROUNDS:
        found.append(f"{ran} {'round' if ran == 1 else 'rounds'}")
    return "; ".join(found + results.troubles.get(job.key, []))


def target_table(names, results):
    lines = [("row", "wanted", "limit", "measured", "least - most", "verdict")]
    for one in verdicts.of_rows(names):
        verdict = verdicts.judge(one, results)
        sign = ">=" if one.at_least else "<="
        lines.append((one.row, one.text, f"{sign} {number(one.limit)}",
                      "-" if verdict.value is None else number(verdict.value),
                      "-" if verdict.spread is None else " - ".join(map(number, verdict.spread)), verdict.text))
    return aligned(lines, left=(0, 1, 5))


def number(value):
    """Three digits are enough; commas between thousands."""
    if value is None:
        return "-"
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    if value >= 0.1:
        return f"{value:.{1 if value >= 10 else 2 if value >= 1 else 3}f}"
    return f"{value:.3g}"


def aligned(lines, left):
    """Text of the lines in columns; those in `left` begin at the left."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join("  ".join(
        cell.ljust(widths[i]) if i in left else cell.rjust(widths[i])
        for i, cell in enumerate(line)).rstrip() for line in lines)

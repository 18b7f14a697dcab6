"""Compares what was counted with the baseline."""

LIMIT = 0.05  # more than this much growth fails


def change(now, then):
    return (now - then) / then if then else float("inf") if now else 0.0


def calls_of(measured):
    return sum(measured["calls"].values())


def judge(measured, baseline):
    """(word, reason) for one scenario: ok, cheaper, new or FAILED."""
    if baseline is None:
        return "FAILED", "not in the baseline: --renew writes it"
    grown = change(measured["instructions"], baseline["instructions"])
    if grown > LIMIT:
        return "FAILED", f"more than {LIMIT:.0%} over the baseline"
    if change(calls_of(measured), calls_of(baseline)) > LIMIT:
        more = [f"{name} {then:.2f} -> {measured['calls'][name]:.2f}"
                for name, then in baseline["calls"].items() if measured["calls"][name] > then]
        return "FAILED", "more system calls: " + ", ".join(more)
    if grown < -LIMIT:
        return "cheaper", "renew the baseline (--renew)"
    return "ok", ""


def line(name, measured, baseline, word, reason):
    then = f"{baseline['instructions']:11.1f}" if baseline else f"{'-':>11}"
    percent = f"{change(measured['instructions'], baseline['instructions']):+8.2%}" if baseline else f"{'-':>8}"
    return (f"{word:8}{name:12} {measured['instructions']:11.1f} {then} {percent} {calls_of(measured):9.2f}  "
            f"{reason}").rstrip()


HEADER = f"{'':8}{'scenario':12} {'instructions':>11}{'baseline':>11} {'change':>8} {'sys calls':>9}   per operation"


def top(table, count):
    return sorted(table, key=lambda name: (-table[name], name))[:count]


WIDTH = 72  # of a function's name


def profile_lines(profile, by_source, operations, count=25):
    """The costliest functions: by what stands in their text, and by all that happens in them."""
    total = profile.total() or 1
    lines = [f"{'own':>10} {'share':>6}  function, inlined ones apart; per operation"]
    for name in top(by_source, count):
        lines.append(f"{by_source[name] / operations:10.1f} {by_source[name] / total:6.1%}  {name[:WIDTH]}")
    lines += ["", f"{'inclusive':>10} {'share':>6} {'own':>10} {'calls':>8}  function as compiled; per operation"]
    for name in top({n: c for n, c in profile.inclusive.items() if profile.calls.get(n)}, count):
        lines.append(f"{profile.inclusive[name] / operations:10.1f} {profile.inclusive[name] / total:6.1%} "
                     f"{profile.own.get(name, 0) / operations:10.1f} "
                     f"{profile.calls[name] / operations:8.2f}  {name[:WIDTH]}")
    return lines

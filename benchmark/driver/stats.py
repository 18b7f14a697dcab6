"""The arithmetic of the figures. A series is {round: number}: what one job measured in each of its rounds."""

import statistics


def median(numbers):
    """The middle one; None of nothing."""
    numbers = list(numbers)
    return statistics.median(numbers) if numbers else None


def spread(numbers):
    """(least, most); None of nothing."""
    numbers = list(numbers)
    return (min(numbers), max(numbers)) if numbers else None


def ratios(upper, lower):
    """A series: one by the other in every round that has both; rounds differ more than what runs in the same one."""
    return {r: upper[r] / lower[r] for r in sorted(upper) if lower.get(r)}


def free_rate(run, cores):
    """Deliveries per second of wall time that the generator left to the server, on so many shared cores."""
    left = run["seconds"] - run["load_cpu_s"] / cores
    return run["deliveries"] / left if left > 0 else None


def is_generator_bound(load_busy, server_busy):
    """The server had time left and the generator little: the rate is not the server's."""
    return load_busy > 0.9 and server_busy < 0.95

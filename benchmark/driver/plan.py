"""The order of the runs, and how long they will take."""

import dataclasses

START_AND_STOP_S = 0.3
CLUSTER_S = 2.5  # until all nodes know each other, and until all have gone
CONNECT_S = {"raw": 0.05, "pushca": 0.12, "nchan": 0.15, "nats": 0.25, "mosquitto": 0.35, "nginx": 0, "cluster": 0.3}  # a thousand
CROWD_CLIENTS = 10000
ONE_ROUND_SLACK = 1.3


def parts(row):
    return row.first, row.jobs, row.peers


def unique_jobs(rows):
    """The jobs of these rows, each once, in their order."""
    return list({job.key: job for row in rows for part in parts(row) for job in part}.values())


def runs_in(job, number, rounds):
    """Does the job run in this round of so many? Those with fewer rounds are spread over all of them."""
    if job.rounds >= rounds:
        return True
    return number in {i * rounds // job.rounds for i in range(job.rounds)}


def order(rows, number, rounds):
    """The jobs of one round, each once. Inside a part of a row whoever was first the last time is now last."""
    found = {}
    for row in rows:
        for part in parts(row):
            for job in rotated(part, number):
                if runs_in(job, number, rounds):
                    found.setdefault(job.key, job)
    return list(found.values())


def rotated(jobs, number):
    start = number % len(jobs) if jobs else 0
    return jobs[start:] + jobs[:start]


def seconds_of(job):
    """About how long one run takes."""
    clients = job.clients + (CROWD_CLIENTS if job.scenario == "crowd" else 0)
    times = 2.5 if job.scenario == "storm" else 1
    around = CLUSTER_S if job.target == "cluster" else START_AND_STOP_S
    return around + clients / 1000 * CONNECT_S[job.target] * times + job.warmup + job.seconds


def total_seconds(rows, rounds):
    return sum(seconds_of(job) for number in range(rounds) for job in order(rows, number, rounds))


def limit_seconds(rows, seconds):
    """The time for all runs: what is left of the limit, but always enough for one round, as building may take long."""
    return max(seconds, total_seconds(with_rounds(rows, 1), 1) * ONE_ROUND_SLACK)


def fitting_rounds(rows, rounds, seconds):
    """As many of the rounds as fit into the time, at least one."""
    while rounds > 1 and total_seconds(rows, rounds) > seconds:
        rounds -= 1
    return rounds


def with_rounds(rows, rounds):
    """The same rows with no job in more than so many rounds."""
    def fewer(jobs):
        return tuple(dataclasses.replace(job, rounds=min(job.rounds, rounds)) for job in jobs)
    return [dataclasses.replace(row, first=fewer(row.first), jobs=fewer(row.jobs), peers=fewer(row.peers))
            for row in rows]

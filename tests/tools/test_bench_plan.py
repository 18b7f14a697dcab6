"""The benchmark's plan: interleaved rounds, what leads what, the time it may take; and what it reads of others."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "benchmark/driver"))

import machine
import main
import plan
import process
import rows
import runs

PROFILES = pytest.mark.parametrize("profile", [rows.FULL, rows.QUICK], ids=lambda profile: profile.name)


def keys(jobs):
    return [job.key for job in jobs]


def row_named(name, profile=rows.FULL):
    return main.chosen(rows.rows(profile), [name])


@PROFILES
def test_it_fits_into_its_time(profile):
    everything = rows.rows(profile)
    rounds = plan.fitting_rounds(everything, profile.rounds, profile.limit_s)
    assert plan.total_seconds(plan.with_rounds(everything, rounds), rounds) <= profile.limit_s
    assert profile.limit_s + main.HARD_LIMIT_S <= (15 if profile is rows.FULL else 3) * 60


def test_the_full_plan_keeps_its_five_rounds():
    assert plan.fitting_rounds(rows.rows(rows.FULL), 5, rows.FULL.limit_s) == 5


def test_less_time_means_fewer_rounds_of_everything():
    everything = rows.rows(rows.FULL)
    one = plan.total_seconds(plan.with_rounds(everything, 1), 1)
    assert plan.fitting_rounds(everything, 5, one) == 1
    assert plan.limit_seconds(everything, 1) > one  # never so little that not even one fits
    assert plan.limit_seconds(everything, 800) == 800


@PROFILES
def test_the_first_round_runs_every_job_once(profile):
    everything = rows.rows(profile)
    first = keys(plan.order(everything, 0, profile.rounds))
    assert sorted(first) == sorted(keys(plan.unique_jobs(everything)))


@PROFILES
def test_every_job_runs_in_as_many_rounds_as_it_should(profile):
    everything = rows.rows(profile)
    ran = [key for number in range(profile.rounds) for key in keys(plan.order(everything, number, profile.rounds))]
    for job in plan.unique_jobs(everything):
        assert ran.count(job.key) == min(job.rounds, profile.rounds), job.key


@pytest.mark.parametrize("number", range(5))
def test_a_rate_is_known_before_it_is_halved(number):
    for name in ("latency", "crowd"):
        order = plan.order(row_named(name), number, 5)
        for job in order:
            if job.half_of:
                assert keys(order).index(job.half_of) < keys(order).index(job.key)


def test_whoever_was_first_is_last_in_the_next_round():
    storm = row_named("storm")
    assert [keys(plan.order(storm, number, 5)) for number in range(2)] == [
        ["storm.raw", "storm.pushca"], ["storm.pushca", "storm.raw"]]


def test_what_is_compared_runs_in_the_same_rounds():
    for row in rows.rows(rows.FULL):
        jobs = {job.key: job for job in plan.unique_jobs([row])}
        for job in jobs.values():
            if job.base in jobs and not job.is_peer:
                assert job.rounds == jobs[job.base].rounds, job.key


def test_names_choose_rows():
    assert [row.name for row in row_named("fanout")] == ["fanout-1000", "fanout-10000"]
    assert [row.name for row in row_named("fanout-1000")] == ["fanout-1000"]
    assert row_named("fan") == [] and len(main.chosen(rows.rows(rows.FULL), [])) == len(rows.rows(rows.FULL))


@pytest.mark.parametrize("words, name, count", [
    (["quick", "storm"], "quick", 1), (["storm", "--rounds", "2", "idle"], "full", 2), ([], "full", 11)])
def test_command_line(words, name, count):
    options = main.arguments(words)
    assert options.profile.name == name and len(options.rows) == count


@pytest.mark.parametrize("words", [["nonsense"], ["--rounds", "0"], ["--rounds", "many"]])
def test_wrong_command_lines(words, capsys):
    with pytest.raises(SystemExit) as ended:
        main.arguments(words)
    assert ended.value.code == 2 and "./bench: error: " in capsys.readouterr().err


def test_the_generators_command():
    class Server:
        port, http_port, pids = 1000, 2000, [7, 8]

    job = next(job for job in rows.rows(rows.FULL)[0].jobs if job.key == "pairs.acked")
    command = runs.load_command(job, pathlib.Path("/b"), Server, 1234.4)
    assert command == ["/b/pushca-load", "pairs", "--target", "pushca", "--port", "1000", "--clients", "1000",
                       "--seconds", "3", "--warmup", "0.7", "--mode", "acked", "--http-port", "2000", "--pid", "7",
                       "--pid", "8", "--rate", "1234"]


def test_only_a_generator_with_a_core_of_its_own_never_sleeps():
    jobs = {job.key: job for job in plan.unique_jobs(rows.rows(rows.FULL))}
    spinning = {key for key, job in jobs.items() if runs.spins(job, {1})}
    assert {"pairs.raw", "pairs.nats", "fanout-1000.pushca", "latency.raw", "http.nchan", "crowd.quiet"} <= spinning
    assert not spinning & {"cores.one", "cores.two", "idle.pushca", "idle.raw", "storm.raw"}
    assert not any(runs.spins(job, set()) for job in jobs.values())


def test_what_wrk_says():
    said = "  1 threads and 64 connections\n  150000 requests in 2.00s\nRequests/sec:  75123.45\n"
    assert runs.wrk_figures(said, 1.5, 2) == {
        "scenario": "http", "target": "nginx", "mode": "wrk", "rate": 75123.45, "load_busy": 0.75}
    for bad in ("unable to connect\n", "  Non-2xx or 3xx responses: 12\n" + said,
                "  Socket errors: connect 0, read 3, write 0, timeout 0\n" + said):
        with pytest.raises(process.Trouble):
            runs.wrk_figures(bad, 1, 2)


@pytest.mark.parametrize("allowed, siblings, pins", [
    ({0}, {0}, (set(), set())),
    ({0, 1}, {0}, ({0}, {1})),
    ({0, 1}, {0, 1}, ({0}, {1})),
    ({2, 3, 4, 5}, {2, 3}, ({2}, {4})),
])
def test_pins(allowed, siblings, pins):
    assert machine.pins(allowed, lambda core: siblings) == pins


def test_time_at_work_leaves_out_waiting_and_counts_what_was_stolen():
    tick = machine.os.sysconf("SC_CLK_TCK")
    text = f"cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 {tick} 0 0 900 900 0 0 {tick} 0 0\ncpu1 {tick} 0 {tick} 9 9 {tick} 0 0 0 0\nintr 5\n"
    assert machine.busy_s({0}, text) == 2 and machine.busy_s({1}, text) == 3 and machine.busy_s(set(), text) == 5


@pytest.mark.parametrize("text, version", [
    ("nginx version: nginx/1.22.1\n", "1.22.1"), ("nats-server: v2.9.10", "2.9.10"),
    ("wrk debian/4.1.0-3+b2 [epoll]", "4.1.0-3+b2"), ("pushca 0.1.0+gab508ac", "0.1.0+gab508ac"),
    ("none of it\n1.2.3", "(unknown)")])
def test_versions(text, version):
    assert machine.version_in(text) == version

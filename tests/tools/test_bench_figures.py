"""The benchmark's arithmetic: ratios by round, what is flagged, which verdict follows."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "benchmark/driver"))

import cluster_report
import cluster_rows
import report
import rows
import stats
import verdicts


def results_of(**runs):
    """Results from job=[figures of round 0, of round 1, ...]; a dash in a name is written as two underscores."""
    results = verdicts.Results()
    for key, figures in runs.items():
        for number, run in enumerate(figures):
            if run is not None:
                results.add(key.replace("__", "-").replace("_", "."), number, run)
    return results


def cpu(*values, **more):
    return [None if value is None else {"cpu_per_million": value, **more} for value in values]


def wanted(text, row=None):
    return next(one for one in verdicts.wanted() if text in one.text and row in (None, one.row))


def test_ratios_are_of_the_same_round():
    # the machine was half as fast in the second round, for both: a ratio of the medians would say 1.5
    assert stats.ratios({0: 12, 1: 24, 2: 12}, {0: 10, 1: 20}) == {0: 1.2, 1: 1.2}
    assert stats.ratios({0: 1}, {0: 0}) == {} and stats.ratios({0: 1}, {1: 1}) == {}


def test_medians_and_spreads():
    assert stats.median({0: 3, 1: 1, 2: 9}.values()) == 3 and stats.median([1, 2]) == 1.5
    assert stats.spread([3, 1, 9]) == (1, 9)
    assert stats.median([]) is None and stats.spread([]) is None


def test_the_generators_share_is_taken_from_the_wall_time():
    run = {"seconds": 2.0, "load_cpu_s": 1.0, "deliveries": 300}
    assert stats.free_rate(run, 1) == 300
    assert stats.free_rate(run, 2) == 200
    assert stats.free_rate({**run, "load_cpu_s": 2.0}, 1) is None


@pytest.mark.parametrize("load, server, bound", [
    (0.97, 0.5, True), (0.97, 0.95, False), (0.9, 0.5, False), (1.0, 1.0, False)])
def test_generator_bound(load, server, bound):
    assert stats.is_generator_bound(load, server) is bound


@pytest.mark.parametrize("ours, text", [(12.4, "met"), (12.5, "met"), (12.6, "not met")])
def test_a_limit_from_above(ours, text):
    results = results_of(pairs_pushca=cpu(*[ours] * 5), pairs_raw=cpu(*[10] * 5))
    verdict = verdicts.judge(wanted("server CPU per delivery"), results)
    assert verdict.text == text and verdict.value == pytest.approx(ours / 10)


@pytest.mark.parametrize("ours, text", [(81, "met"), (79, "not met")])
def test_a_limit_from_below(ours, text):
    rate = [{"rate": ours}] * 5
    results = results_of(pairs_pushca=rate, pairs_raw=[{"rate": 100}] * 5)
    assert verdicts.judge(wanted("deliveries per second, x raw"), results).text == text


def test_a_lost_message_is_never_met_however_fast():
    runs = cpu(1, 1, 1, 1, 1, lost=0)
    runs[3] = {"cpu_per_million": 1, "lost": 2}
    results = results_of(pairs_pushca=runs, pairs_raw=cpu(*[10] * 5))
    verdict = verdicts.judge(wanted("server CPU per delivery"), results)
    assert verdict.text == "not met; 2 lost by pairs.pushca"


def test_what_the_yardstick_lost_is_said_too():
    results = results_of(pairs_pushca=cpu(*[10] * 5), pairs_raw=cpu(*[10] * 5, lost=1))
    verdict = verdicts.judge(wanted("server CPU per delivery"), results)
    assert verdict.text == "met; 5 lost by pairs.raw"


def test_doubts_stand_beside_the_verdict():
    ours = [{"rate": 90, "load_busy": 0.99, "server_busy": 0.6, "others_busy": 0.3}] * 2
    results = results_of(pairs_pushca=ours, pairs_raw=[{"rate": 100}] * 2)
    verdict = verdicts.judge(wanted("deliveries per second, x raw"), results)
    assert verdict.text == "met; pairs.pushca generator-bound; 2 of 5 rounds; others took 30% of the cores"


def test_what_was_not_measured_says_why():
    results = results_of(http_pushca=cpu(5))
    results.add_trouble("http.nchan", "not installed")
    assert verdicts.judge(wanted("x nchan"), results).text == "not measured: not installed"
    assert verdicts.judge(wanted("TLS"), results).text == "not measured: here; tests/system/test_tls.py does, and prints it"
    assert verdicts.judge(wanted("x quiet"), results).text == "not measured: crowd.loud did not run"
    apart = results_of(pairs_pushca=cpu(None, 5), pairs_raw=cpu(4))
    assert verdicts.judge(wanted("server CPU per delivery"), apart).text \
        == "not measured: its runs were in different rounds"


def test_growth_is_compared_with_raws():
    results = results_of(growth_pushca=cpu(24), pairs_pushca=cpu(10), growth_raw=cpu(18), pairs_raw=cpu(9))
    assert verdicts.judge(wanted("x raw's"), results).value == pytest.approx(1.2)


def test_every_requirement_names_jobs_that_exist():
    jobs = {job.key for row in rows.rows(rows.FULL) for part in (row.first, row.jobs, row.peers) for job in part}
    for one in verdicts.wanted():
        assert set(one.keys) <= jobs, one.text
        assert one.row in verdicts.row_names(), one.text


@pytest.mark.parametrize("flaw", verdicts.FLAWS)
def test_exit_status(flaw):
    ours, theirs = job("pairs.pushca"), job("pairs.nchan")
    assert verdicts.exit_status([ours, theirs], results_of(pairs_pushca=cpu(5, lost=0))) == 0
    assert verdicts.exit_status([ours, theirs], results_of(pairs_pushca=cpu(5, **{flaw: 1}))) == 1
    assert verdicts.exit_status([ours, theirs], results_of(pairs_nchan=cpu(5, **{flaw: 1}))) == 0
    troubled = results_of(pairs_pushca=cpu(5))
    troubled.add_trouble("pairs.nchan", "not installed")
    assert verdicts.exit_status([ours, theirs], troubled) == 1


def job(key):
    return next(job for row in rows.rows(rows.FULL) for job in (*row.jobs, *row.peers) if job.key == key)


RUN = {"rate": 170700.2, "cpu_per_million": 6.0, "p50_us": 5.5, "p99_us": 1234.5, "p999_us": 20000, "lost": 0,
       "doubled": 0, "swapped": 0, "torn": 0, "load_busy": 0.7, "server_busy": 0.98}


def test_a_line_of_the_table():
    results = results_of(pairs_pushca=[RUN, {**RUN, "cpu_per_million": 7.0}], pairs_raw=cpu(5, 5))
    assert report.cells(job("pairs.pushca"), results) == (
        "pairs", "pushca", "170,700", "6.50", "1.30", "5.50", "1,234", "20,000", "0/0/0/0", "6 - 7", "2 rounds")


def test_a_bad_run_is_said_in_words():
    bad = {**RUN, "lost": 3, "torn": 1, "load_busy": 0.99, "server_busy": 0.5, "late": 7, "broken": 2}
    cells = report.cells(job("pairs.pushca"), results_of(pairs_pushca=[bad] * 5))
    assert cells[8] == "15/0/0/5"
    assert cells[10] == "LOST, TORN; generator-bound; 7 sent late by the generator; 2 connections broke"


def test_a_missing_peer_has_its_line():
    results = results_of(pairs_raw=cpu(5))
    results.add_trouble("pairs.nats", "not installed")
    table = report.main_table([next(row for row in rows.rows(rows.FULL) if row.name == "pairs")], results)
    line = next(line for line in table.splitlines() if " nats " in line)
    assert line.split() == ["pairs", "nats", *["-"] * 8, "not", "measured;", "not", "installed"]
    assert len(table.splitlines()) == 8  # the heads, and every job of the row once


def test_storm_and_idle_have_figures_of_their_own():
    results = results_of(storm_pushca=[{"rate": 9000, "cpu_us_per_connect": 60}],
                         storm_raw=[{"rate": 20000, "cpu_us_per_connect": 30}],
                         idle_pushca=[{"bytes_per_client": 690.4, "cpu_us_per_client_second": 0.15}])
    assert report.cells(job("storm.pushca"), results)[2:5] == ("9,000", "60", "2")
    assert report.cells(job("idle.pushca"), results)[10] \
        == "690 bytes a client; 0.150 us CPU a client-second; 1 round"


def test_the_table_of_targets_has_only_the_rows_that_ran():
    table = report.target_table(["storm"], results_of(storm_pushca=[{"rate": 70}], storm_raw=[{"rate": 100}]))
    assert [line.split()[0] for line in table.splitlines()] == ["row", "storm"]
    assert table.splitlines()[1].endswith(">= 0.650     0.700  0.700 - 0.700  met; 1 of 5 rounds")


@pytest.mark.parametrize("value, text", [
    (None, "-"), (0, "0"), (7.0, "7"), (0.04567, "0.0457"), (0.987, "0.987"), (1.25, "1.25"), (12.345, "12.3"), (999.6, "1,000"),
    (123456.7, "123,457")])
def test_numbers(value, text):
    assert report.number(value) == text


def test_a_cluster_run_in_which_nothing_arrived_is_told_and_does_not_count():
    job = cluster_rows.all_rows(cluster_rows.QUICK)[0].jobs[1]
    none = {"deliveries": 0, "server_cpu_s": 0.1, "redis_cpu_s": 0.1, "rate": 0}
    some = {"deliveries": 1_000_000, "server_cpu_s": 12.0, "redis_cpu_s": 2.0, "rate": 70_000}
    results = verdicts.Results()
    results.add(job.key, 0, none)
    results.add(job.key, 1, some)
    assert cluster_report.cells(job, results)[3:6] == ("14", "12", "2")
    results = verdicts.Results()
    results.add(job.key, 0, none)
    assert cluster_report.cells(job, results)[3:6] == ("-", "-", "-")

"""./test counts what the runners counted, and a runner that broke down is never a success."""
import pathlib
import subprocess

import pytest

STEPS = pathlib.Path(__file__).resolve().parents[2] / "tools/steps.sh"


def bash(script, folder):
    """(status, lines) of a script that has sourced steps.sh."""
    done = subprocess.run(["bash", "-uo", "pipefail", "-c", f". {STEPS}; logs={folder}; {script}"],
                          capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


@pytest.mark.parametrize("kind, status, text, counted", [
    ("ctest", 0, "100% tests passed, 0 tests failed out of 51\n", "51 0 0"),
    ("ctest", 8, "95% tests passed, 2 tests failed out of 37\n", "35 2 0"),
    ("ctest", 8, "No tests were found!!!\n", "0 1 0"),
    ("pytest", 0, "3 passed in 1.02s\n", "3 0 0"),
    ("pytest", 1, "2 failed, 3 passed, 1 skipped, 1 error in 62.12s (0:01:02)\n", "3 3 1"),
    ("pytest", 5, "no tests ran in 0.01s\n", "0 1 0"),
    ("pytest", 3, "3 passed in 1.02s\n", "3 1 0"),
    ("pytest", 0, "2 failed, 3 passed, 1 skipped in 9.10s\nrun again\n2 passed, 4 deselected in 1.02s\n", "5 0 1"),
    ("pytest", 1, "2 failed, 3 passed in 9.10s\nrun again\n1 failed, 1 passed in 1.02s\n", "4 1 0"),
    ("check", 0, "", "1 0 0"),
    ("check", 1, "", "0 1 0"),
    ("build", 0, "", "0 0 0"),
    ("build", 1, "", "0 1 0"),
])
def test_counts(tmp_path, kind, status, text, counted):
    (tmp_path / "log").write_text(text)
    assert bash(f"counts {kind} {status} {tmp_path}/log", tmp_path) == (0, [counted])


def test_a_failed_step_does_not_hide_the_others(tmp_path):
    status, said = bash("step check one false; step check two true; summary", tmp_path)
    assert status == 1 and [line.split()[0] for line in said] == ["FAILED", "ok", "1"]
    assert said[-1] == "1 passed, 1 failed"


def test_a_sanitizers_report_fails_the_step(tmp_path):
    status, said = bash("f() { echo found >$REPORTS.7; echo 3 passed in 1.00s; };"
                        " step pytest one f; summary", tmp_path)
    assert status == 1 and "       | found" in said and said[-1] == "3 passed, 1 failed"


def test_what_was_skipped_is_said_aloud(tmp_path):
    status, said = bash("f() { echo 'SKIPPED [1] x: no npm'; echo 1 passed, 1 skipped in 1.00s; };"
                        " step pytest one f; summary", tmp_path)
    assert status == 0 and "       SKIPPED [1] x: no npm" in said
    assert said[-1] == "1 passed, 0 failed, 1 skipped"


def test_nothing_tested_is_no_success(tmp_path):
    status, said = bash("step build one true; summary", tmp_path)
    assert status == 1 and said[-1] == "0 passed, 0 failed"

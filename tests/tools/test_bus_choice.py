"""benchmark/bus-choice measures and checks: each batch counts, and a wrong word is refused."""

import pathlib
import subprocess
import sys

import pytest

SCRIPT = pathlib.Path(__file__).parents[2] / "benchmark" / "bus-choice"


def run(*arguments):
    return subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("way", ["publish", "confirmed", "read", "group", "removed"])
def test_each_way_is_measured(way):
    done = run("--rounds", "1", "--share", "0.005", "--no-faults", "--way", way, "--load", "three", "--size", "200")
    assert done.returncode == 0, done.stderr
    assert "three nodes" in done.stdout and "lost" not in done.stderr


def test_a_way_that_is_none():
    assert run("--way", "shouting").returncode == 2

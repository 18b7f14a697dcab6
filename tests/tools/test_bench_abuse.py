"""./bench abuse judges what it measured, and says what it is."""
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmark/driver"))

import abuse  # noqa: E402


def run(p99, **flaws):
    return {"p99_us": p99, "server_busy": 0.5, **flaws}


@pytest.mark.parametrize("pairs, good", [
    ([(run(100), run(200))], True),
    ([(run(100), run(201))], False),
    ([(run(100), run(500)), (run(100), run(150)), (run(100), run(150))], True),  # the median counts
    ([(run(100), run(100, lost=1))], False),
    ([(run(100, broken=1), run(100))], False),
    ([], False),
])
def test_verdict(pairs, good):
    rows = abuse.Rows(["memory"])
    rows.pairs["memory"] = pairs
    assert rows.is_good("memory") == good
    assert ("NO" not in rows.line("memory")) == (good or not pairs)


def test_trouble_is_no_success():
    rows = abuse.Rows(["memory"])
    rows.pairs["memory"] = [(run(100), run(100))]
    rows.trouble["memory"] = ["the attack ended before its time"]
    assert not rows.is_good("memory")
    assert "before its time" in rows.line("memory")


def test_every_abuse_has_its_attack():
    done = subprocess.run([sys.executable, str(abuse.ATTACK), "--help"], capture_output=True, text=True, check=True)
    for name in abuse.ABUSES:
        assert name in done.stdout

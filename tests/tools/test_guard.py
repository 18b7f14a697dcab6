"""benchmark/guard: what callgrind counted is read rightly, and growth fails, cheapness is said."""
import json
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

GUARD = pathlib.Path(__file__).resolve().parents[2] / "benchmark/guard"
sys.path.insert(0, str(GUARD))
import callgrind  # noqa: E402
import verdict  # noqa: E402

# Two functions of one program, one of them with a line that was inlined from elsewhere, and a library
# without names. Numbers are written as callgrind does: whole, as differences, and as repeats.
COUNTED = """\
positions: line
events: Ir

ob=(1) /x/guard
fl=(1) /tree/src/a.c
fn=(1) outer
4 10
fi=(2) /tree/src/b.h
+3 5
* 2
fe=(1)
6 1
cob=(2) /lib/libz.so.1
cfi=(3) ???
cfn=(2) 0x00123
calls=3 0
-1 600
cfn=(3) inner
calls=0 20
* 40

fn=(3)
21 30
-1 7
ob=(2)
fl=(3)
fn=(2)
0 600
totals: 655
"""


def test_own_and_inclusive_costs_and_calls_are_told_apart():
    profile = callgrind.read(COUNTED)
    assert profile.total() == 655
    assert profile.own == {"outer": 18, "inner": 37, "libz.so.1 0x00123": 600}
    assert profile.inclusive == {"outer": 658, "inner": 37, "libz.so.1 0x00123": 600}
    assert profile.calls == {"libz.so.1 0x00123": 3, "inner": 0}


def test_lines_are_those_of_the_text_that_was_inlined():
    assert callgrind.read(COUNTED).places == {
        ("/tree/src/a.c", 4, "outer"): 10, ("/tree/src/b.h", 7, "outer"): 7, ("/tree/src/a.c", 6, "outer"): 1,
        ("/tree/src/a.c", 21, "inner"): 30, ("/tree/src/a.c", 20, "inner"): 7, ("???", 0, "libz.so.1 0x00123"): 600}


SOURCE = """\
/* about (it) */
static int one(int a,
               int b)
{
    return two(a);

}

struct s {
    int x;
};

void three(void)
{
}
"""


def test_functions_are_found_in_the_text():
    assert callgrind.functions_in(SOURCE) == {4: "one", 5: "one", 6: "one", 7: "one", 14: "three", 15: "three"}


def test_costs_go_to_the_function_in_whose_text_they_stand(tmp_path):
    (tmp_path / "a.c").write_text(SOURCE)
    profile = callgrind.Profile()
    profile.places = {(f"{tmp_path}/a.c", 5, "three"): 4, (f"{tmp_path}/a.c", 6, "one"): 2,
                      (f"{tmp_path}/a.c", 10, "three"): 1, ("/usr/libc.c", 5, "memcpy"): 8, (None, 1, "x"): 3}
    assert callgrind.by_source(profile, str(tmp_path)) == {"one  a.c": 6, "three  a.c": 1, "memcpy": 8, "x": 3}


def test_the_environment_of_the_caller_does_not_count(monkeypatch):
    before = callgrind.environment()
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setenv("GLIBC_TUNABLES", "x")
    monkeypatch.setenv("PUSHCA_LIMITS_BODY_BYTES", "1")
    assert callgrind.environment() == before


def counted(instructions, **calls):
    return {"instructions": instructions, "calls": {"reads": 1.0, "writes": 1.0, **calls}}


@pytest.mark.parametrize("now, then, word", [
    (counted(1000), counted(1000), "ok"),
    (counted(1050), counted(1000), "ok"),
    (counted(1051), counted(1000), "FAILED"),
    (counted(950), counted(1000), "ok"),
    (counted(949), counted(1000), "cheaper"),
    (counted(900, writes=1.2), counted(1000), "FAILED"),
    (counted(1000, writes=1.05), counted(1000), "ok"),
    (counted(1000, writes=0.5, reads=1.5), counted(1000), "ok"),
    (counted(1000), None, "FAILED"),
])
def test_verdicts(now, then, word):
    assert verdict.judge(now, then)[0] == word


def test_more_system_calls_are_named():
    assert verdict.judge(counted(1, writes=2.0), counted(1))[1] == "more system calls: writes 1.00 -> 2.00"


def test_the_costliest_come_first():
    profile = callgrind.read(COUNTED)
    lines = verdict.profile_lines(profile, {"a": 10, "b": 600, "c": 45}, 10, count=2)
    assert [line.split()[-1] for line in lines[1:3]] == ["b", "c"]
    assert lines[1].split()[:2] == ["60.0", "91.6%"]
    # what was never called here, the frame around it all, is left out
    assert [line.split()[-1] for line in lines[5:]] == ["0x00123"]


def test_every_scenario_is_run_and_has_a_baseline():
    known = re.search(r"SCENARIOS = \[(.*?)\]", (GUARD / "run").read_text(), re.DOTALL).group(1)
    known = re.findall(r'"([^"]+)"', known)
    text = "".join(file.read_text() for file in GUARD.glob("*.c"))
    assert sorted(known) == sorted(re.findall(r'const struct scenario scenario_\w+ = \{\s*"([^"]+)"', text))
    assert sorted(json.loads((GUARD / "baseline.json").read_text())["scenarios"]) == sorted(known)


# ---- the whole command, with a valgrind that says what it is told to ----

VALGRIND = """#!/usr/bin/env python3
import json, pathlib, sys
costs = json.loads((pathlib.Path(__file__).parent / "costs.json").read_text())
out, = [a.partition("=")[2] for a in sys.argv if a.startswith("--callgrind-out-file=")]
name = sys.argv[-1]
if name not in costs:
    sys.exit("no such thing")
pathlib.Path(out).write_text(f"fl=(1) a.c\\nfn=(1) shard_turn\\n1 {costs[name] * 10}\\n")
print(json.dumps({"operations": 10, "calls": {"reads": 1.0}}))
"""


@pytest.fixture
def guard(tmp_path, monkeypatch):
    """Runs a copy of the command: guard(costs, argument...) -> (status, lines)."""
    folder = tmp_path / "benchmark/guard"
    folder.mkdir(parents=True)
    for file in [GUARD / "run", *GUARD.glob("*.py")]:
        shutil.copy(file, folder)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/valgrind").write_text(VALGRIND)
    (tmp_path / "bin/valgrind").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")

    def run(costs, *arguments):
        (tmp_path / "bin/costs.json").write_text(json.dumps(costs))
        done = subprocess.run([str(folder / "run"), "--program", "/bin/true", *arguments], capture_output=True,
                              text=True, check=False)
        assert done.stderr == ""
        return done.returncode, done.stdout.splitlines()
    return run


def test_growth_fails_against_what_was_written_before(guard):
    assert guard({"pairs": 100, "http": 200}, "--renew", "pairs", "http")[0] == 0
    status, said = guard({"pairs": 104, "http": 220}, "pairs", "http")
    assert status == 1 and said[-1] == "1 passed, 1 failed"
    assert [line.split()[:5] for line in said[1:-1]] == [["ok", "pairs", "104.0", "100.0", "+4.00%"],
                                                        ["FAILED", "http", "220.0", "200.0", "+10.00%"]]
    status, said = guard({"pairs": 50}, "pairs")
    assert status == 0 and said[1].startswith("cheaper") and said[-1] == "1 passed, 0 failed"


def test_renewing_some_keeps_the_others(guard):
    guard({"pairs": 100, "http": 200}, "--renew", "pairs", "http")
    assert guard({"pairs": 150}, "--renew", "pairs")[0] == 0
    status, said = guard({"pairs": 150, "http": 200}, "pairs", "http")
    assert status == 0 and said[-1] == "2 passed, 0 failed"


def test_a_scenario_that_breaks_down_fails(guard):
    guard({"pairs": 100, "http": 200}, "--renew", "pairs", "http")
    status, said = guard({"pairs": 100}, "pairs", "http")
    assert status == 1 and said[-1] == "1 passed, 1 failed" and "no such thing" in said[2]

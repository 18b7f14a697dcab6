#!/usr/bin/env python3
"""calls.py NM TORTURE LIBRARY... -- WRAPPED...: does the torture know every call of the product to the libc?

Ends with 1 and names those that are neither wrapped nor in calls.txt, and those of calls.txt that are wrapped.
"""

import pathlib
import re
import subprocess
import sys


def symbols(*command):
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return {line.split()[-1].split("@")[0] for line in lines if line and not line.endswith(":")}


def libc_of(program):
    libraries = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    return re.search(r"libc\.so\.6 => (\S+)", libraries)[1]


def plain(name):
    """What _FORTIFY_SOURCE calls in its place."""
    return re.sub(r"^__(\w+)_chk$", r"\1", name)


def main(nm, torture, *rest):
    libraries, wrapped = rest[: rest.index("--")], set(rest[rest.index("--") + 1 :])
    text = (pathlib.Path(__file__).parent / "calls.txt").read_text()
    spared = set(re.sub(r"#.*", "", text).split())
    offered = symbols(nm, "-D", "--defined-only", libc_of(torture))
    called = {plain(name) for name in symbols(nm, "-u", *libraries) & offered}
    unknown, both = sorted(called - wrapped - spared), sorted(spared & wrapped)
    for name in unknown:
        print(f"{name}: the product calls it; wrap it (faults.c), or say in calls.txt why it is not failed")
    for name in both:
        print(f"{name}: wrapped, and in calls.txt, too")
    assert len(called) > 50, "these are no libraries of the product"
    return bool(unknown or both)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

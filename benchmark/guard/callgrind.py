"""Runs a program under callgrind in an environment that is the same on every machine, and reads what
it counted."""
import os
import platform
import re
import subprocess

# Only what the server does inside of its turns counts, and not what the fakes do there for the kernel.
TURN = "shard_turn"
FAKES = ["poll_wait", "poll_add", "poll_change", "poll_remove", "poll_wake", "poll_woken",
         "sock_accept", "sock_read", "sock_write", "sock_shut", "sock_close",
         "clock_mono_ms", "clock_wall_ms", "rand_init", "rand_fill", "rand_below"]
MEASURED = "guard_measured"

# Libraries choose their code by the processor. These choices exist on every x86-64 of the last ten years:
# SSE4.2 for simdjson, SSE2 for the C library, SSSE3 for libcrypto.
X86_64 = {
    "SIMDJSON_FORCE_IMPLEMENTATION": "westmere",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX,-AVX2,-AVX512F,-AVX512VL,-AVX512BW,-BMI1,-BMI2,-ERMS,-FSRM,"
                      "-LZCNT,-MOVBE,-POPCNT,-RTM,-SSSE3,-SSE4_1,-SSE4_2,-Fast_Unaligned_Copy,"
                      "-AVX_Fast_Unaligned_Load:glibc.cpu.x86_non_temporal_threshold=786432",
    "OPENSSL_ia32cap": "0x20007000000:0",
}


def environment():
    fixed = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", "TZ": "UTC", "LD_BIND_NOW": "1"}
    if platform.machine() == "x86_64":
        fixed.update(X86_64)
    return fixed


def command(program, arguments, out):
    toggles = [f"--toggle-collect={name}" for name in [TURN, *FAKES]]
    return ["valgrind", "--tool=callgrind", "--quiet", f"--callgrind-out-file={out}",
            f"--zero-before={MEASURED}", *toggles, program, *arguments]


def run(program, arguments, out, seconds):
    """What the program printed; what was counted is in the file out. RuntimeError: it failed."""
    try:
        done = subprocess.run(command(program, arguments, out), env=environment(), capture_output=True,
                              text=True, timeout=seconds, check=False, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"not done after {seconds} s") from None
    if done.returncode != 0:
        raise RuntimeError((done.stderr or done.stdout).strip() or f"exit status {done.returncode}")
    return done.stdout


POSITION = re.compile(r"(c?fn|fl|fi|fe|cfi|cfl|c?ob)=\((\d+)\)(?: (.*))?")


class Profile:
    """Instructions by function: in itself, with all it calls, and how often it was called; and those in
    itself by (file, line, function), where file and line are of code that may have been inlined."""

    def __init__(self):
        self.own, self.inclusive, self.calls, self.places = {}, {}, {}, {}

    def total(self):
        return sum(self.own.values())


def count(table, key, number):
    table[key] = table.get(key, 0) + number


def line_number(word, before):
    """Lines are written whole, or as what they differ by from the one before, or as the same."""
    if word == "*":
        return before
    return before + int(word) if word[0] in "+-" else int(word)


def named(name, library):
    """Functions of a stripped library have addresses for names."""
    return f"{os.path.basename(library)} {name}" if name.startswith("0x") and library else name


def read(text):
    """The profile in the text of a callgrind file."""
    profile, names = Profile(), {"fn": {}, "fl": {}, "ob": {}}
    caller = callee = file = None
    library = there = None  # of the functions that follow; of the next callee, where it is another one
    calls = None  # of a call line right before this one, whose cost is the callee's then
    at = 0
    for line in text.splitlines():
        match = POSITION.match(line)
        if match:
            what, number, name = match.groups()
            kind = {"fn": "fn", "cfn": "fn", "ob": "ob", "cob": "ob"}.get(what, "fl")
            if name is not None:
                names[kind][number] = named(name, there or library) if kind == "fn" else name
            if what == "ob":
                library, there = names["ob"][number], None
            elif what == "cob":
                there = names["ob"][number]
            elif what == "fn":
                caller = names["fn"][number]
            elif what == "cfn":
                callee = names["fn"][number]
            elif what in ("fl", "fi", "fe"):
                file = names["fl"][number]
        elif line.startswith("calls="):
            calls, there = int(line[len("calls="):].split()[0]), None
        elif line and line[0] in "+-*0123456789":
            where, cost = line.split()
            at, cost = line_number(where, at), int(cost)
            count(profile.inclusive, caller, cost)
            if calls is None:
                count(profile.own, caller, cost)
                count(profile.places, (file, at, caller), cost)
            else:
                count(profile.calls, callee, calls)
                calls = None
    return profile


OPENING = re.compile(r"([A-Za-z_]\w*)\(")


def functions_in(source):
    """Line -> name of the function that is written there, in source of the house's format."""
    found, head, name = {}, "", None
    for number, line in enumerate(source.splitlines(), 1):
        if line.startswith("{"):
            match = OPENING.search(head)
            name = match.group(1) if match else None
        if name:
            found[number] = name
        if line.startswith("}") or not line.strip():
            head = ""
            name = None if line.startswith("}") else name
        elif not line.startswith((" ", "{", "#", "/")):
            head += line
    return found


def by_source(profile, root):
    """Own instructions by the function in whose text they stand, inlined or not; outside of root by the
    name the program has for it."""
    found, known = {}, {}
    prefix = root.rstrip("/") + "/"
    for (file, line, function), cost in profile.places.items():
        name = function
        if file and file.startswith(prefix):
            if file not in known:
                with open(file, encoding="utf-8", errors="replace") as source:
                    known[file] = functions_in(source.read())
            name = f"{known[file].get(line, function)}  {file[len(prefix):]}"
        count(found, name, cost)
    return found

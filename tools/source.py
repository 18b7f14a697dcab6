"""What the checks share: which files there are, and C text without comments and strings."""
import os
import re
import subprocess
import sys

SKIPPED_FOLDERS = {".git", "build", "node_modules", "__pycache__", ".pytest_cache"}
C_ENDINGS = (".c", ".h", ".cpp")
NOT_CODE = re.compile(
    r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.DOTALL)


def root_from(arguments):
    """The tree to check: the first argument, else the one this file is in."""
    if len(arguments) > 1:
        return os.path.abspath(arguments[1])
    return os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def all_files(root):
    """Paths relative to root: what git has or would add, or everything where git does not help."""
    if os.path.exists(os.path.join(root, ".git")):
        git = subprocess.run(
            ["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            capture_output=True, text=True, check=False)
        if git.returncode == 0:
            names = git.stdout.split("\0")
            return sorted({n for n in names if n and os.path.isfile(os.path.join(root, n))})
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [f for f in folders if f not in SKIPPED_FOLDERS]
        found += [os.path.relpath(os.path.join(folder, n), root) for n in names]
    return sorted(found)


def c_files(root, *folders):
    """C and C++ files below the given folders of root."""
    return [f for f in all_files(root)
            if f.endswith(C_ENDINGS) and f.split("/")[0] in folders]


def read(root, name):
    with open(os.path.join(root, name), encoding="utf-8", errors="replace") as file:
        return file.read()


def blank(text):
    """text with comments and literals turned to spaces; every line keeps its number."""
    return NOT_CODE.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def finish(what, problems):
    """Prints the problems and ends the check: status 1 when there are any."""
    for problem in problems:
        print(problem)
    print(f"{what}: {len(problems)} problems" if problems else f"{what}: ok")
    sys.exit(1 if problems else 0)

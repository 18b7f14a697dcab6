"""Finds wscat: on the PATH, or installed by npm from the lock file beside this, once per machine."""

import os
import pathlib
import shutil
import subprocess
import tempfile

HERE = pathlib.Path(__file__).parent / "wscat"


def wscat_folder():
    """The folder that has wscat, or None when neither it nor npm is there."""
    found = shutil.which("wscat")
    if found:
        return os.path.dirname(found)
    if not shutil.which("npm"):
        return None
    place = pathlib.Path(tempfile.gettempdir()) / f"pushca-wscat-{os.getuid()}"
    binaries = place / "node_modules" / ".bin"
    if not (binaries / "wscat").exists():
        place.mkdir(mode=0o700, exist_ok=True)
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(HERE / name, place / name)
        done = subprocess.run(
            ["npm", "ci", "--ignore-scripts"], cwd=place, capture_output=True, timeout=120
        )
        if done.returncode != 0:
            return None
    return str(binaries)

"""While packages are installed Debian is asked not to start their services, and what it was told before holds again."""
import os
import pathlib
import signal
import subprocess
import time

import pytest

PACKAGES = pathlib.Path(__file__).resolve().parents[2] / "tools/packages.sh"
THEIRS = "#!/bin/sh\n# the administrator's\nexit 0\n"


@pytest.fixture(name="policy")
def make_policy(tmp_path):
    """The path of one in a folder of its own, in place of Debian's."""
    (tmp_path / "sbin").mkdir()
    return tmp_path / "sbin/policy-rc.d"


def begin(policy, command):
    """A shell that has sourced packages.sh runs the command, which knows the path as $policy."""
    script = f'. {PACKAGES}; as_root() {{ "$@"; }}; policy={policy}; without_services env policy={policy} sh -c "$1"'
    listens = ["env", "--default-signal=INT,HUP"]  # whatever was ignored where these tests were started
    return subprocess.Popen([*listens, "bash", "-uo", "pipefail", "-c", script, "bash", command], stdout=subprocess.PIPE,
                            text=True, start_new_session=True)


def there(policy):
    return {path.name: path.read_text() for path in policy.parent.iterdir()}


def write(policy, link=False):
    """As the administrator has it: a file, or a link to one."""
    target = policy.parent.parent / "target" if link else policy
    target.write_text(THEIRS)
    target.chmod(0o700)
    if link:
        policy.symlink_to(target)


@pytest.mark.parametrize("status", [0, 3])
@pytest.mark.parametrize("before", ["none", "file", "link"])
def test_what_is_installed_meanwhile_is_not_started(policy, before, status):
    if before != "none":
        write(policy, before == "link")
    shell = begin(policy, f'"$policy" redis-server start; echo $?; exit {status}')
    said, _ = shell.communicate(timeout=30)
    assert (said, shell.returncode) == ("101\n", status)
    assert there(policy) == ({} if before == "none" else {"policy-rc.d": THEIRS})
    if before != "none":
        assert policy.is_symlink() == (before == "link") and policy.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("before", [False, True])
def test_it_is_put_back_when_that_is_interrupted(policy, before, how):
    if before:
        write(policy)
    shell = begin(policy, "echo begun; exec sleep 30")
    assert shell.stdout.readline() == "begun\n"
    os.killpg(shell.pid, how)
    shell.communicate(timeout=30)
    assert shell.returncode != 0
    until = time.monotonic() + 10
    while there(policy) != ({"policy-rc.d": THEIRS} if before else {}):
        assert time.monotonic() < until, there(policy)
        time.sleep(0.01)


@pytest.mark.parametrize("before", [False, True])
def test_it_is_put_back_by_the_next_one_when_that_is_killed(policy, before):
    if before:
        write(policy)
    shell = begin(policy, "echo begun; exec sleep 30")
    assert shell.stdout.readline() == "begun\n"
    os.killpg(shell.pid, signal.SIGKILL)
    shell.communicate(timeout=30)
    assert "tools/packages.sh" in there(policy)["policy-rc.d"]
    shell = begin(policy, "true")
    shell.communicate(timeout=30)
    assert shell.returncode == 0 and there(policy) == ({"policy-rc.d": THEIRS} if before else {})

"""The command line and the configuration of the real binary."""

import base64
import hashlib
import hmac
import json
import os
import pathlib
import re
import resource
import socket
import subprocess
import time

import pytest

from certificates import Certificates
from pushca import BINARY, ROOT, Server, identity

SECRET = "0123456789abcdef0123456789abcdef"
SAMPLE = pathlib.Path(__file__).parent / "data/application.yaml"
PLAIN_ENV = {name: value for name, value in os.environ.items()
             if not name.upper().startswith(("PUSHCA_", "SERVER_", "LOGGING_", "SPRING"))}


def run(*arguments, env=None, stdin="", **more):
    return subprocess.run([BINARY, *arguments], env={**PLAIN_ENV, **(env or {})}, input=stdin, text=True,
                          capture_output=True, timeout=30, check=False, **more)


def check(*arguments, **more):
    return run("--check-config", *arguments, **more)


@pytest.fixture
def write(tmp_path):
    def write_file(text, name="application.yaml"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)
    return write_file


def problems(answer):
    """One stands on the line that announces it, several each on a line of its own."""
    said = "pushca: the configuration is wrong:"
    assert answer.returncode == 1 and answer.stdout == "", answer
    first, *others = answer.stderr.splitlines()
    if first == said:
        assert len(others) > 1, answer.stderr
        return others
    assert first.startswith(f"{said} ") and not others, answer.stderr
    return [first[len(said) + 1 :]]


def refused(answer, *lines):
    found = problems(answer)
    for line in lines:
        assert line in found, answer.stderr


# -- command line ---------------------------------------------------------------------------------------

def test_version_and_help():
    assert re.fullmatch(r"pushca \d+\.\d+\.\d+\S*\n", run("--version").stdout)
    help_text = run("--help")
    assert help_text.returncode == 0 and "--check-config" in help_text.stdout and help_text.stderr == ""
    keys = run("--help-config").stdout.splitlines()
    assert len(keys) > 50 and all(line.startswith("| `") and line.endswith(" |") for line in keys)


@pytest.mark.parametrize("arguments", [["start"], ["--confg"], ["serve", "x"], ["--config"], ["token"],
                                       ["--secret-hex", "00"], ["--check-config=1"]])
def test_wrong_usage_is_status_2(arguments):
    answer = run(*arguments)
    assert answer.returncode == 2 and answer.stdout == ""
    assert answer.stderr.startswith("pushca: ") and answer.stderr.count("\n") == 1
    assert "pushca --help" in answer.stderr


def test_without_configuration_all_is_well():
    answer = check()
    assert (answer.returncode, answer.stdout) == (0, "configuration ok\n")
    assert answer.stderr.startswith("note: pushca.coordinator.secret-key is not given")
    assert check("--set", f"pushca.coordinator.secret-key={SECRET}").stderr == ""
    assert run("serve", "--check-config").returncode == 0


# -- the sample file of the base specification ------------------------------------------------------------

def test_the_sample_file_is_refused_for_the_placeholder_of_its_secret_alone():
    answer = check("--config", str(SAMPLE))
    lines = problems(answer)
    assert len(lines) == 1
    assert lines[0].startswith(f"{SAMPLE}:8: pushca.coordinator.secret-key: is still the placeholder")


@pytest.mark.parametrize("name", ["spring.config.location", "SPRING_CONFIG_LOCATION"])
@pytest.mark.parametrize("prefix", ["", "file:"])
def test_the_sample_file_loads_with_a_secret(write, name, prefix):
    path = write(SAMPLE.read_text().replace("<your secret key for JWT signature>", SECRET))
    answer = check(env={name: prefix + path})
    assert answer.returncode == 0
    notes = answer.stderr.splitlines()
    assert len(notes) == 4
    assert notes[0].startswith("note: pushca.pusher.instance-id is not given")
    assert notes[1].startswith("note: pushca.pusher.internal-cluster-url is not given")
    assert notes[2].startswith("note: pushca.pusher.external-advertised-url is not given")
    assert notes[3] == ("note: accepted without meaning here: pushca.license-key, server.tomcat.threads.max, "
                        "server.tomcat.threads.min-spare, management.*, springdoc.*")


def test_the_docker_environment_of_the_base_specification_loads(write):
    path = write(SAMPLE.read_text().replace("<your secret key for JWT signature>", SECRET))
    answer = check(env={
        "PUSHCA_REDIS_HOST_NAME": "pushca-cache", "PUSHCA_REDIS_PORT": "6379",
        "PUSHCA_SERVER_SOCKET_PORT": "8885", "PUSHCA_INTERNAL_ADVERTISED_URL": "ws://pusher1:8885/",
        "PUSHCA_INTERNAL_CLUSTER_URL": "http://pusher1:8080",
        "PUSHCA_EXTERNAL_ADVERTISED_URL": "ws://82.147.191.51:35085/", "spring.config.location": path})
    assert (answer.returncode, answer.stdout) == (0, "configuration ok\n")
    notes = answer.stderr.splitlines()
    assert len(notes) == 2
    assert notes[0].startswith("note: pushca.pusher.instance-id is not given")
    assert notes[1].startswith("note: accepted without meaning here: pushca.license-key, server.tomcat")


def test_dotted_variables_are_keys():
    answer = check(env={"pushca.pusher.deploy-mode": "cluster", "pushca.coordinator.secret-key": SECRET,
                        "pushca.pusher.instance-id": "one", "pushca.pusher.internal-cluster-url": "http://one:8080",
                        "pushca.pusher.asyncworkers.pool-size": "${POOL}", "pushca.pusher.socket-prot": "1"})
    assert answer.returncode == 0
    assert answer.stderr.splitlines() == [
        "note: accepted without meaning here: pushca.pusher.asyncworkers.pool-size",
        "note: environment: pushca.pusher.socket-prot has no meaning here; did you mean pushca.pusher.socket-port?",
    ]
    refused(check(env={"pushca.pusher.shards": "many"}),
            'environment pushca.pusher.shards: pushca.pusher.shards: expected a whole number from 1 to 64, found "many"')
    refused(check(env={"pushca.pusher.shards": "1", "PUSHCA_PUSHER_SHARDS": "2"}))


# -- the cluster ------------------------------------------------------------------------------------------

CLUSTER = ["--set", "pushca.pusher.deploy-mode=cluster"]


def test_a_cluster_needs_the_secret():
    answer = check(*CLUSTER)
    refused(answer, "default: pushca.coordinator.secret-key: expected the one secret of all servers with "
                    "pushca.pusher.deploy-mode: cluster (environment PUSHCA_COORDINATOR_SECRET_KEY): make one by "
                    "`openssl rand -hex 32`")
    assert run(*CLUSTER).returncode == 1
    assert check(*CLUSTER, env={"PUSHCA_COORDINATOR_SECRET_KEY": SECRET}).returncode == 0


@pytest.mark.parametrize("sets, key", [
    (["sentinel.master=m"], "sentinel.master"),
    (["sentinel.master=m", "sentinel.nodes=s:1", "cluster.nodes=r:1"], "cluster.nodes"),
    (["cluster.nodes=r:1", "database=1"], "database"),
    (["cluster.nodes=r1"], "cluster.nodes"),
])
def test_redis_is_told_in_one_way(sets, key):
    answer = check(*CLUSTER, *[word for text in sets for word in ("--set", f"pushca.storage.redis.{text}")],
                   env={"PUSHCA_COORDINATOR_SECRET_KEY": SECRET})
    assert problems(answer)[0].startswith(f"--set: pushca.storage.redis.{key}: expected ")


@pytest.fixture(name="made", scope="module")
def make_certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


def test_the_keys_of_a_cluster_in_yaml(write, made):
    path = write(f"""
pushca:
  coordinator: {{secret-key: {SECRET}, cache.search.ttl-ms: 1s}}
  pusher: {{deploy-mode: cluster, instance-id: one, internal-cluster-url: "http://one:8080"}}
  cluster: {{lease-ms: 5s, beat-ms: 1s, echo-ms: 3s, window-bytes: 64MB}}
  storage:
    redis:
      password: hush-hush
      sentinel:
        master: mymaster
        nodes: [s1:26379, "s2:26379", "[::1]:26379"]
      ssl: {{enabled: true, trust-certificate: "file:{made['ca.pem']}", verify: ca}}
""")
    answer = check("--config", path)
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "configuration ok\n", "")


@pytest.mark.parametrize("key, name, what", [
    ("trust-certificate", "none.pem", "no certificate can be read from it"),
    ("certificate", "server.key", "no certificate can be read from it"),
    ("certificate-private-key", "client.key", "no key that belongs to the certificate can be read from it"),
])
def test_files_for_redis_are_tried_before_the_start(made, key, name, what):
    sets = [f"pushca.coordinator.secret-key={SECRET}", "pushca.pusher.deploy-mode=cluster", "server.port=0",
            "pushca.pusher.socket-port=0"]
    files = {"trust-certificate": "ca.pem", "certificate": "server.pem", "certificate-private-key": "server.key", key: name}
    sets += [f"pushca.storage.redis.ssl.{one}={made[file]}" for one, file in files.items()]
    line = f"pushca.storage.redis.ssl.{key}: {made[name]}: {what}"
    for start in (check, run):
        answer = start(*[word for one in [*sets, "pushca.storage.redis.ssl.enabled=true"] for word in ("--set", one)])
        refused(answer, line)
        assert len(answer.stderr.splitlines()) == 1
    assert check(*[word for one in sets for word in ("--set", one)]).returncode == 0


# -- what is wrong is told with file and line ---------------------------------------------------------------

def test_all_mistakes_come_at_once(write):
    path = write("pushca:\n  pusher:\n    socket-prot: 1\n    shards: 65\n    external-advertised-url: ws://a_b:1\n"
                 "  limits:\n    queue-bytes: 1KB\n    soft-queue-bytes: 2KB\nserver.port: http\n"
                 "pushca.pusher.shards: 2\n")
    answer = check("--config", path, "--set", "pushca.nothing=1", env={"LOGGING_FORMAT": "xml"})
    refused(
        answer,
        f"{path}:3: pushca.pusher.socket-prot: unknown key; did you mean pushca.pusher.socket-port?",
        f"{path}:10: pushca.pusher.shards: expected this key once, it stands in line 4 as well",
        f"{path}:5: pushca.pusher.external-advertised-url: expected ws://host:port/ or wss://host:port/, found "
        '"ws://a_b:1": it has \'_\' in its host, which Java clients cannot read',
        f"{path}:8: pushca.limits.soft-queue-bytes: expected no more than pushca.limits.queue-bytes",
        f'{path}:9: server.port: expected a whole number from 0 to 65535, found "http"',
        'environment LOGGING_FORMAT: logging.format: expected text or json, found "xml"',
        "--set: pushca.nothing: unknown key; expected one that --help-config lists",
    )
    assert len(answer.stderr.splitlines()) == 8


def test_the_examples_of_the_documentation_are_true(write, tmp_path):
    text = (ROOT / "docs/configuration.md").read_text()
    good = re.search(r"```yaml\n(.*?)```", text, re.DOTALL)[1]
    assert check("--config", write(good)).returncode == 0
    shown = re.search(r"```\n(application.*?)```", text, re.DOTALL)[1].splitlines()
    write("\n" * 8 + "pushca.pusher.socket-prot: 1\n")
    answer = check("--config", "application.yaml", "--set", "server.port=http",
                   env={"PUSHCA_ACKNOWLEDGE_TIMEOUT_MS": "soon"}, cwd=tmp_path)
    assert sorted(problems(answer)) == sorted(shown)


@pytest.mark.parametrize("text, line, what", [
    ("a: 1\n b: 2\n", 2, "broken YAML in column 3"),
    ("a: [1\n", 2, "broken YAML in column 1"),
    (b"a: 1\nb: \xff\n", 2, "broken YAML: invalid leading UTF-8 octet"),
    ("a: &b 1\n", 1, "anchors"),
    ("a: *b\n", 1, "aliases"),
    ("a: 1\n---\nb: 2\n", 2, "a second document begins"),
    ("- 1\n", 1, "expected keys and values, found a list"),
    ("a: " + "[" * 40, 1, "more than 32 levels"),
])
def test_broken_files_are_told_where(write, text, line, what):
    path = write(text)
    answer = check("--config", path)
    assert re.match(rf"{re.escape(path)}:{line}: .*{re.escape(what)}", problems(answer)[0]), answer.stderr


def test_files_that_cannot_be_read(tmp_path, write):
    refused(check("--config", f"{tmp_path}/none.yaml"),
            f"{tmp_path}/none.yaml: expected a readable YAML file: No such file or directory")
    refused(check("--config", str(tmp_path)), f"{tmp_path}: expected a readable YAML file: Is a directory")
    refused(check("--config", write("#" * (1 << 20) + "#")),
            f"{tmp_path}/application.yaml: expected a readable YAML file: it is larger than 1 MiB")
    assert check("--config", write("#" * (1 << 20))).returncode == 0
    assert check("--config", write(b"\xef\xbb\xbfserver.port: 1\n")).returncode == 0


def test_a_secret_is_never_repeated(write):
    path = write("pushca.coordinator.secret-key: hush-hush\n")
    answer = check("--config", path)
    refused(answer, f"{path}:1: pushca.coordinator.secret-key: expected at least 32 bytes, found 9: "
                    "make one by `openssl rand -hex 32`")
    assert "hush" not in answer.stderr
    assert "hush" not in check("--set", "pushca.coordinator.secret-kay=hush-hush").stderr


def test_strange_variables_are_only_noted():
    answer = check("--set", f"pushca.coordinator.secret-key={SECRET}",
                   env={"PUSHCA_SERVER_SOKET_PORT": "1", "SERVER_TOMCAT_THREADS_MINSPARE": "5"})
    assert answer.returncode == 0
    assert answer.stderr.splitlines() == [
        "note: accepted without meaning here: server.tomcat.threads.min-spare",
        "note: environment: PUSHCA_SERVER_SOKET_PORT has no meaning here; did you mean "
        "PUSHCA_SERVER_SOCKET_PORT?",
    ]


# -- what is configured is what runs --------------------------------------------------------------------------

def test_the_wrong_configuration_does_not_start():
    answer = run("--set", "server.port=http")
    refused(answer, '--set: server.port: expected a whole number from 0 to 65535, found "http"')


def test_a_key_below_a_value_is_refused(write):
    path = write("server:\n  port: {first: 80}\n")
    refused(check("--config", path), f"{path}:2: server.port.first: server.port has a value, expected no keys below it")


def test_where_it_cannot_listen_it_says_why():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for key, other in (("server.port", "pushca.pusher.socket-port"), ("pushca.pusher.socket-port", "server.port")):
            answer = run("--set", f"{key}={port}", "--set", f"{other}=0")
            last = answer.stderr.splitlines()[-1]
            assert answer.returncode == 1 and "another process has this port" in last and f"key={key}" in last
    answer = run("--set", "server.address=203.0.113.9", "--set", "server.port=0")
    last = answer.stderr.splitlines()[-1]
    assert answer.returncode == 1 and "no such address here" in last and "key=server.address" in last


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="no /proc here")
def test_closed_standard_descriptors_do_not_become_sockets():
    with socket.create_server(("127.0.0.1", 0)) as one:
        port = one.getsockname()[1]
    sets = ["--set", f"server.port={port}", "--set", "pushca.pusher.socket-port=0"]
    process = subprocess.Popen(["sh", "-c", 'exec "$@" 0<&- 1>&- 2>&-', "sh", BINARY, *sets], env=PLAIN_ENV)
    try:
        for _ in range(500):
            time.sleep(0.02)
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", port)) == 0:
                    break
        assert [os.readlink(f"/proc/{process.pid}/fd/{fd}") for fd in range(3)] == ["/dev/null"] * 3
    finally:
        process.terminate()
        assert process.wait(30) == 0


def test_line_beats_environment_beats_file(write):
    path = write("pushca.pusher.instance-id: by-file\npushca.pusher.external-advertised-url: ws://by-file:1\n"
                 "pushca.pusher.internal-advertised-url: ws://by-file:2\n")
    env = {"PUSHCA_PUSHER_INSTANCE_ID": "by-environment", "PUSHCA_EXTERNAL_ADVERTISED_URL": "ws://by-environment:1"}
    with Server("pushca.pusher.instance-id=by-line", env=env, arguments=["--config", path]) as server:
        answer = server.post("/open-connection", {"client": identity()}).json
        assert answer["pusherInstanceId"] == "by-line"
        assert answer["externalAdvertisedUrl"].startswith("ws://by-environment:1/")
        assert answer["internalAdvertisedUrl"].startswith("ws://by-file:2/")


def test_notes_are_logged_once_and_logs_can_be_json():
    with Server("logging.format=json", "springdoc.x=1", "management.y=2") as server:
        pass
    events = [json.loads(line) for line in server.lines]
    notes = [event for event in events if "without meaning here" in json.dumps(event)]
    assert len(notes) == 1 and "management.*, springdoc.*" in json.dumps(notes[0])


def test_the_greeting_is_for_who_brings_no_file(write):
    """With a file, standard output stays empty."""
    sets = ["--set", "server.port=0", "--set", "pushca.pusher.socket-port=0"]
    for more, greets in (([], True), (["--config", write("")], False), (["--set", "logging.format=json"], False)):
        process = subprocess.Popen([BINARY, *sets, *more], env=PLAIN_ENV, text=True, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        for line in process.stderr:
            if "ready" in line:
                break
        process.terminate()
        output, _ = process.communicate(timeout=30)
        assert process.returncode == 0
        assert bool(output) == greets


def test_the_file_limit_is_raised_and_what_it_cannot_carry_is_noted():
    def lower():
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 512))

    def lowest():
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))

    assert "file limit" not in check(preexec_fn=lower).stderr
    answer = check("--set", "pushca.pusher.socket-pool-size=1048576")
    assert answer.returncode == 0 and "note: 1048576 sockets, " in answer.stderr
    if os.geteuid() != 0:
        assert "the file limit is 64" in check(preexec_fn=lowest).stderr


# -- token verify ---------------------------------------------------------------------------------------------

def part(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def forge(secret, exp_in_s=60, alg="HS256", **more):
    """A token by other means than ours."""
    now = int(time.time())
    claims = {**identity(), "iat": now, "exp": now + exp_in_s, "jti": "x", **more}
    text = part(json.dumps({"alg": alg, "typ": "JWT"}).encode()) + "." + part(json.dumps(claims).encode())
    return text + "." + part(hmac.digest(secret.encode(), text.encode(), hashlib.sha256))


def verdict(token, *arguments, env=None):
    answer = run("token", "verify", *arguments, stdin=token, env=env)
    return answer.returncode, answer.stdout.strip()


def test_verdicts_over_tokens_of_others(write):
    by_hex = ["--secret-hex", SECRET.encode().hex()]
    by_file = ["--config", write(f"pushca.coordinator.secret-key: {SECRET}\n")]
    for how in (by_hex, by_file):
        assert verdict(forge(SECRET), *how) == (0, "valid")
        assert verdict(forge(SECRET) + "\n", *how) == (0, "valid")
        assert verdict(forge(SECRET, exp_in_s=-5), *how) == (1, "expired")
        assert verdict(forge(SECRET[::-1]), *how) == (1, "invalid")
        assert verdict(forge(SECRET, alg="none"), *how) == (1, "invalid")
        assert verdict("nonsense", *how) == (1, "invalid")
        assert verdict("", *how) == (2, "")
    assert verdict(forge(SECRET), env={"PUSHCA_COORDINATOR_SECRET_KEY": SECRET}) == (0, "valid")


def test_no_verdict_without_a_secret():
    assert verdict(forge(SECRET)) == (2, "")
    assert verdict(forge(SECRET), "--secret-hex", "00ff") == (2, "")
    assert verdict(forge(SECRET), "--secret-hex", "0" * 63) == (2, "")
    assert verdict(forge(SECRET), "--secret-hex", "x" * 64) == (2, "")
    assert verdict(forge(SECRET), "--set", "server.port=http") == (2, "")


def test_a_token_of_the_server_is_valid():
    with Server(f"pushca.coordinator.secret-key={SECRET}") as server:
        url = server.post("/open-connection", {"client": identity()}).json["externalAdvertisedUrl"]
    token = url.rstrip("/").rsplit("/", 1)[1]
    assert verdict(token, "--secret-hex", SECRET.encode().hex()) == (0, "valid")


# -- completion -----------------------------------------------------------------------------------------------

def complete(*words):
    script = ('source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); compopt() { :; }; '
              '_pushca "$1"; printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(["bash", "-c", script, "bash", ROOT / "tools/completion/pushca.bash", BINARY, *words],
                          capture_output=True, text=True, timeout=30, check=True)
    return done.stdout.split()


def test_completion():
    assert complete("") == ["serve", "token"]
    assert complete("serve", "--ch") == ["--check-config"]
    assert complete("--set", "server.tomcat.threads.m") == ["server.tomcat.threads.max=",
                                                            "server.tomcat.threads.min-spare="]
    assert complete("--set", "management") == []
    assert complete("token", "") == ["verify"]
    assert complete("token", "verify", "--s") == ["--secret-hex", "--set"]
    assert str(SAMPLE) in complete("--config", str(SAMPLE)[:-3])

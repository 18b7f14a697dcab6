"""The files of deploy/: well formed, of one mind with each other and with the program."""

import os
import pathlib
import re
import shlex
import shutil
import subprocess

import pytest
import yaml

from nginx import NGINX, free_ports
from pushca import BINARY, ROOT

DEPLOY = ROOT / "deploy"
SECRET = "0123456789abcdef0123456789abcdef"
PLAIN_ENV = {name: value for name, value in os.environ.items()
             if not name.upper().startswith(("PUSHCA_", "SERVER_", "LOGGING_", "SPRING"))}
GIVEN = {"PUSHCA_SECRET_KEY": SECRET, "PUSHCA_IMAGE": "pushca:test", "PUSHCA_EXTERNAL_HOST": "push.example.org"}
NODES = ("pusher1", "pusher2", "pusher3")


def interpolate(text, given):
    """${NAME:-default} and ${NAME:?why} as compose reads them."""
    def one(found):
        name, kind, rest = found[1], found[2], found[3]
        if given.get(name):
            return given[name]
        assert kind == ":-", f"{name}: {rest}"
        return rest
    return re.sub(r"\$\{(\w+)(:-|:\?)([^}]*)\}", one, text)


def load(name, given=None):
    return yaml.safe_load(interpolate((DEPLOY / name).read_text(), GIVEN if given is None else given))


def check_config(path, environment):
    return subprocess.run([BINARY, "serve", "--check-config", "--config", path], env={**PLAIN_ENV, **environment},
                          capture_output=True, text=True, timeout=30, check=False)


# -- YAML ---------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("path", sorted(DEPLOY.rglob("*.yaml")), ids=lambda path: str(path.relative_to(DEPLOY)))
def test_yaml_is_well_formed_and_says_nothing_twice(path):
    class Strict(yaml.SafeLoader):
        pass

    def mapping(loader, node):
        keys = [loader.construct_object(key) for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        assert len(keys) == len(set(keys)), f"{path}: {keys}"
        loader.flatten_mapping(node)
        return {loader.construct_object(key): loader.construct_object(value, deep=True) for key, value in node.value}

    Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
    assert isinstance(yaml.load(path.read_text(), Strict), dict)


def nginx_text():
    return (DEPLOY / "nginx/pushca.conf").read_text()


def nginx_sockets():
    """pusher -> (its WebSocket port, the port nginx listens on for it)"""
    found = {}
    for name, block in re.findall(r"# ==== (pusher\d)\n(.*?)(?=\n    # ====)", nginx_text(), re.DOTALL):
        own = [server for server in re.findall(r"server (pusher\d):(\d+) [^;]*;", block)][0]
        assert own[0] == name
        found[name] = int(own[1]), int(re.search(r"listen (\d+);", block)[1])
    return found


@pytest.mark.parametrize("name", ["compose/compose.yaml", "swarm/pushca.yaml"])
def test_stacks_fit_the_program_and_nginx(name, tmp_path):
    stack = load(name)
    assert set(stack["services"]) == {"redis", "nginx", *NODES}
    published = {}
    for port in stack["services"]["nginx"]["ports"]:
        inside, outside = (port["target"], port["published"]) if isinstance(port, dict) else reversed([int(n) for n in port.split(":")])
        published[inside] = outside
    assert published[8080] == 8050
    seen = []
    for node in NODES:
        service = stack["services"][node]
        environment = {key: str(value) for key, value in service["environment"].items()}
        ws_port, listen = nginx_sockets()[node]
        assert environment["PUSHCA_PUSHER_INSTANCE_ID"] == node
        assert environment["PUSHCA_SERVER_SOCKET_PORT"] == str(ws_port)
        assert environment["PUSHCA_INTERNAL_ADVERTISED_URL"] == f"ws://{node}:{ws_port}/"
        assert environment["PUSHCA_INTERNAL_CLUSTER_URL"] == f"http://{node}:8080"
        assert environment["PUSHCA_EXTERNAL_ADVERTISED_URL"] == f"ws://push.example.org:{published[listen]}/"
        assert environment["PUSHCA_REDIS_HOST_NAME"] == "redis"
        seen.append(published[listen])
        # the program takes it as it is, without a word
        conf = tmp_path / "application.yaml"
        text = (DEPLOY / name).with_name("conf").joinpath("application.yaml").read_text()
        conf.write_text(re.sub(r'"<.*>"', SECRET, text))
        assert environment.pop("spring.config.location") == "/conf/application.yaml"
        answer = check_config(str(conf), environment)
        assert (answer.returncode, answer.stdout, answer.stderr) == (0, "configuration ok\n", "")
        assert float(service["stop_grace_period"].rstrip("s")) > 5  # pushca.drain-ms
    assert len(set(seen)) == 3
    # the proxy is believed: its network is one and the same
    subnet = stack["networks"]["default"]["ipam"]["config"][0]["subnet"]
    assert yaml.safe_load(conf.read_text())["pushca"]["pusher"]["trusted-proxies"] == [subnet]
    assert "noeviction" in stack["services"]["redis"]["command"]


@pytest.mark.parametrize("name", ["compose/compose.yaml", "swarm/pushca.yaml"])
def test_files_that_stacks_name_are_there(name):
    stack, folder = load(name), (DEPLOY / name).parent
    named = [volume.split(":")[0] for service in stack["services"].values() for volume in service.get("volumes", [])]
    named += [entry["file"] for kind in ("configs", "secrets") for entry in stack.get(kind, {}).values()]
    assert named
    for path in named:
        assert (folder / path).is_file(), path
    for service in stack["services"].values():
        if "build" in service:
            context = (folder / service["build"]["context"]).resolve()
            assert context == ROOT and (context / service["build"]["dockerfile"]).is_file()
        for kind in ("configs", "secrets"):
            assert all(entry["source"] in stack[kind] for entry in service.get(kind, []))


def test_the_secret_has_to_be_given():
    with pytest.raises(AssertionError, match="PUSHCA_SECRET_KEY: make one"):
        load("compose/compose.yaml", {})
    answer = check_config(str(DEPLOY / "swarm/conf/application.yaml"), {})
    assert answer.returncode == 1 and "placeholder" in answer.stderr


def test_docker_compose_takes_it():
    if not shutil.which("docker") or subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("no docker compose here")
    subprocess.run(["docker", "compose", "-f", DEPLOY / "compose/compose.yaml", "config", "--quiet"], check=True, timeout=60,
                   env={**os.environ, **GIVEN})


# -- nginx --------------------------------------------------------------------------------------------------

def check_nginx(folder, text):
    path = folder / "nginx.conf"
    path.write_text(text)
    return subprocess.run([NGINX, "-t", "-p", folder, "-c", path, "-e", folder / "start.log"], capture_output=True, text=True, timeout=30,
                          check=False)


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
def test_nginx_takes_its_file(tmp_path):
    text = re.sub(r"pusher(\d):", r"127.0.0.\1:", nginx_text())
    text = re.sub(r"^user .*$", "", text, flags=re.MULTILINE)
    answer = check_nginx(tmp_path, text.replace("/var/log/nginx", str(tmp_path)).replace("/var/run", str(tmp_path)))
    assert answer.returncode == 0 and "[warn]" not in answer.stderr, answer.stderr


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
@pytest.mark.parametrize("count", [1, 3, 7])
def test_nginx_takes_it_for_other_numbers_of_nodes(tmp_path, count):
    ports = free_ports(3 * count + 1)
    nodes = [":".join(map(str, ports[i * 3:i * 3 + 3])) for i in range(count)]
    made = subprocess.run([ROOT / "tools/nginx-local", tmp_path, str(ports[-1]), *nodes], capture_output=True, text=True, check=True).stdout
    answer = check_nginx(tmp_path, made)
    assert answer.returncode == 0 and "[warn]" not in answer.stderr, answer.stderr
    assert "pusher1:" not in made and len(re.findall(r"listen 127\.0\.0\.1:", made)) == count + 1
    assert len(re.findall(r"^ *server 127\.0\.0\.1:", made, re.MULTILINE)) == count * count + 3 * count


def test_the_blocks_of_nginx_differ_by_their_pusher_alone():
    blocks = dict(re.findall(r"# ==== pusher(\d)\n(.*?)(?=\n    # ====)", nginx_text(), re.DOTALL))
    assert list(blocks) == ["1", "2", "3"]
    ports = nginx_sockets()
    assert len(set(ports.values())) == 3
    for number, block in blocks.items():
        servers = re.findall(r"server (pusher\d):(\d+) ([^;]*);", block)
        assert {name: int(port) for name, port, _ in servers} == {name: port for name, (port, _) in ports.items()}
        assert [("backup" in more) for _, _, more in servers] == [False, True, True]
    plain = {re.sub(r"\n +server pusher.*", "", block).replace(f"usher{number}", "usherN").replace(f"listen {ports['pusher' + number][1]}", "listen N")
             for number, block in blocks.items()}
    assert len({block.strip() for block in plain}) == 1


def test_what_nginx_must_never_send_twice_it_does_not():
    text = re.sub(r"#.*", "", nginx_text())
    server = text[text.index("listen 8080;"):text.index("upstream websocketPusher1")]
    for path, body in re.findall(r"location (?:= )?(\S+) \{(.*?)\n        \}", server, re.DOTALL):
        tries = re.search(r"proxy_next_upstream ([^;]*);", body)
        words = tries[1].split() if tries else ["error", "timeout"]
        if "non_idempotent" in words and not path.startswith("/pushca/open-connection"):
            assert path in ("@elsewhere", "@unsent", "@anybody") and not {"error", "timeout", "invalid_header", "http_500", "http_502", "http_504"} & set(words)
        if path in ("@unsent", "@anybody"):
            assert body.lstrip().startswith('if ($upstream_bytes_sent !~ "(^|[ ,:])0$") {')
    assert "proxy_intercept_errors off;" in server[server.index("with-acknowledge {"):]
    assert "actuator" not in server


# -- Traefik ------------------------------------------------------------------------------------------------

def test_traefik_hangs_together():
    static, http = load("traefik/traefik.yaml"), load("traefik/pushca.yaml")["http"]
    assert (DEPLOY / "traefik" / pathlib.PurePath(static["providers"]["file"]["filename"]).name).is_file()
    used = set()
    for router in http["routers"].values():
        assert set(router["entryPoints"]) <= set(static["entryPoints"])
        assert set(router.get("middlewares", [])) <= set(http["middlewares"])
        used.add(router["service"])
    sockets, rest = {name: port for name, (port, _) in nginx_sockets().items()}, set()
    for name in list(used):
        if "failover" in http["services"][name]:
            used |= set(http["services"][name]["failover"].values())
    assert used == set(http["services"])
    for name, service in http["services"].items():
        for server in service.get("loadBalancer", {}).get("servers", []):
            node, port = re.fullmatch(r"http://(pusher\d):(\d+)", server["url"]).groups()
            if name == "pushers":
                assert port == "8080"
                rest.add(node)
            else:
                assert int(port) == sockets[node]
        if "loadBalancer" in service:
            assert service["loadBalancer"]["healthCheck"]["path"] == "/actuator/health/readiness"
    assert rest == set(NODES)
    paths = set(re.findall(r"Path\(`([^`]*)`\)", " ".join(router["rule"] for router in http["routers"].values() if "rest" in router["entryPoints"])))
    assert paths == set(re.findall(r"location = (\S+)", nginx_text()))
    retried = [name for name, router in http["routers"].items() if "again" in router.get("middlewares", [])]
    assert retried == ["open-connection"]
    assert "accessLog" not in static  # tokens
    addresses = {int(point["address"].lstrip(":")) for point in static["entryPoints"].values()}
    assert addresses == {8050, 35085, 35086, 35087}


# -- Docker -------------------------------------------------------------------------------------------------

def dockerfile():
    """(instruction, rest) of each, continued lines joined."""
    text = re.sub(r"^#.*\n", "", (DEPLOY / "docker/Dockerfile").read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [tuple(line.split(None, 1)) for line in lines if line.strip()]


def copied_into_the_build():
    return [source for word, rest in dockerfile() if word == "COPY" and "--from" not in rest for source in shlex.split(rest)[:-1]]


def test_the_image_is_built_in_stages_and_runs_without_rights():
    steps = dockerfile()
    stages = [index for index, (word, _) in enumerate(steps) if word == "FROM"]
    assert len(stages) == 2 and all(steps[at][1].startswith("debian:12") for at in stages)
    last = dict(steps[stages[-1]:])
    assert last["USER"] == "pushca" and "useradd" in last["RUN"] and "--uid 10001" in last["RUN"]
    assert "/actuator/health/liveness" in last["HEALTHCHECK"]
    assert last["ENTRYPOINT"] == '["/usr/bin/pushca"]' and last["STOPSIGNAL"] == "SIGTERM"
    assert last["ENV"] == "SERVER_ADDRESS=0.0.0.0"
    built = "".join(rest for word, rest in steps[:stages[-1]] if word == "RUN")
    wanted = re.search(r"^build_packages=\((.*?)\)", (ROOT / "tools/packages.sh").read_text(), re.DOTALL | re.MULTILINE)[1].split()
    assert {name for name in wanted if name != "curl"} <= set(built.split())


def test_what_the_image_copies_is_there_and_not_ignored():
    sources = copied_into_the_build()
    assert "src" in sources and "CMakeLists.txt" in sources
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for source in sources:
        assert (ROOT / source).exists(), source
        assert source in kept, f"{source} is kept out by .dockerignore"
    assert set(kept) == set(sources)


@pytest.mark.skipif("/release/" not in BINARY, reason="once is enough")
def test_what_the_image_copies_is_enough_to_configure(tmp_path):
    for source in copied_into_the_build():
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, tmp_path / source)
        else:
            shutil.copy(ROOT / source, tmp_path / source)
    command = next(rest for word, rest in dockerfile() if word == "RUN" and "cmake --preset" in rest).split("&&")[0]
    done = subprocess.run([*shlex.split(command), "-DPUSHCA_SWAGGER_UI=OFF"], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    dry = subprocess.run(["ninja", "-C", "build/release", "-n", "pushca"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert dry.returncode == 0, dry.stdout + dry.stderr


@pytest.mark.skipif("/release/" not in BINARY, reason="the image has the release build")
def test_the_image_has_the_libraries_of_the_program():
    if not shutil.which("dpkg"):
        pytest.skip("not a Debian system")
    installed = dict(dockerfile()[[word for word, _ in dockerfile()].index("FROM", 1):])["RUN"].split()
    needed = subprocess.run(["ldd", BINARY], capture_output=True, text=True, check=True).stdout
    for library in re.findall(r"=> (\S+)", needed):
        owner = subprocess.run(["dpkg", "-S", os.path.realpath(library)], capture_output=True, text=True, check=False).stdout.split(":")[0]
        assert owner in installed or owner in ("libc6", "libstdc++6", "libgcc-s1", ""), f"{library} is of {owner}"


# -- systemd ------------------------------------------------------------------------------------------------

def test_the_unit_is_what_systemd_wants(tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd here")
    text = (DEPLOY / "systemd/pushca.service").read_text()
    text = text.replace("/usr/bin/pushca", BINARY)
    text = re.sub(r"^Documentation=.*$", "", text, flags=re.MULTILINE)
    unit = tmp_path / "pushca.service"
    unit.write_text(text)
    answer = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, timeout=60, check=False)
    said = [line for line in answer.stderr.splitlines() if "pushca" in line]
    assert answer.returncode == 0 and not said, answer.stderr
    answer = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", unit], capture_output=True,
                            text=True, timeout=60, check=False)
    assert answer.returncode == 0, answer.stdout[-2000:]


def test_the_unit_fits_the_program():
    text = (DEPLOY / "systemd/pushca.service").read_text()
    assert re.search(r"^Type=notify$", text, re.MULTILINE) and "WatchdogSec=" in text
    for command in re.findall(r"^ExecStart(?:Pre)?=/usr/bin/pushca (.*)$", text, re.MULTILINE):
        done = subprocess.run([BINARY, *command.replace("/etc/pushca/application.yaml", "/nowhere/at.all").split()], capture_output=True, text=True,
                              timeout=30, check=False, env=PLAIN_ENV)
        assert done.returncode == 1 and "/nowhere/at.all: expected a readable YAML file" in done.stderr
    user = re.search(r"^User=(.*)$", text, re.MULTILINE)[1]
    assert re.search(rf"^u {user} ", (DEPLOY / "systemd/pushca.conf").read_text(), re.MULTILINE)


def test_sysusers_takes_its_file():
    if not shutil.which("systemd-sysusers"):
        pytest.skip("no systemd here")
    done = subprocess.run(["systemd-sysusers", "--dry-run", DEPLOY / "systemd/pushca.conf"], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr


# -- the text about all that ----------------------------------------------------------------------------------

def test_every_folder_is_told_of():
    text = (DEPLOY / "README.md").read_text()
    for folder in DEPLOY.iterdir():
        if folder.is_dir():
            assert f"| `{folder.name}/` |" in text

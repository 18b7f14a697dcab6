"""A cluster on this machine for as long as it is measured: Redis, some pushers, and nginx where it is asked for."""

import contextlib
import http.client
import json
import time

import process
import servers

READY_S = 20
SECRET = "a secret of the benchmark alone, which all nodes share"

NODE = """\
server:
  address: 127.0.0.1
  port: {http_port}
pushca:
  coordinator:
    secret-key: {secret}
  storage:
    redis:
      host: 127.0.0.1
      port: {redis_port}
  pusher:
    deploy-mode: {deploy_mode}
    instance-id: {node}
    internal-cluster-url: http://127.0.0.1:{http_port}
    socket-port: {port}
    shards: {shards}
    ping-interval-ms: 25s
"""

# The layout of deploy/nginx: REST over all nodes, a WebSocket listener for each.
REST = """
    upstream pushCluster {{ zone pushCluster 64k; {members} keepalive 256; keepalive_requests 1000000000; }}
    map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://pushCluster;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Real-IP $remote_addr;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
        }}
    }}
"""
LISTENER = """
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://127.0.0.1:{behind};
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
            proxy_set_header Host $host;
            proxy_read_timeout 2m;
        }}
    }}
"""


class Cluster:
    """What is running: ports of the nodes (or of nginx, where clients go through it), and whose CPU time is whose."""

    def __init__(self, nodes, redis, redis_port):
        self.nodes = nodes              # processes
        self.redis = redis
        self.redis_port = redis_port
        self.ports, self.http_ports = [], []
        self.node_http_ports = []       # always the nodes' own
        self.nginx = None

    @property
    def pids(self):
        return [node.pid for node in self.nodes]

    @property
    def others(self):
        """(name, process ids) of what is measured apart."""
        found = [("redis", [self.redis.pid])]
        return found + ([("nginx", self.nginx.family())] if self.nginx else [])


@contextlib.contextmanager
def running(folder, build, cores, count=3, shards=1, through_nginx=False, deploy_mode="cluster"):
    """A Cluster whose nodes all know each other."""
    started = []
    ports = process.free_ports(3 * count + 3)
    redis_port, rest_port, spare = ports[:3]
    node_ports, http_ports, listeners = (ports[3 + i * count:3 + (i + 1) * count] for i in range(3))
    try:
        redis = process.Process("redis", _redis(folder, redis_port), folder, cores)
        started.append(redis)
        process.wait_for_port(redis, redis_port)
        nodes = []
        for number, (port, http_port) in enumerate(zip(node_ports, http_ports)):
            config = servers._write(folder, f"node{number}.yaml", NODE, http_port=http_port, port=port, shards=shards,
                                    redis_port=redis_port, secret=SECRET, node=f"node-{number}", deploy_mode=deploy_mode)
            nodes.append(process.Process(f"node{number}", [str(build / "pushca"), "--config", config], folder, cores))
            started.append(nodes[-1])
        for node, port, http_port in zip(nodes, node_ports, http_ports):
            process.wait_for_port(node, port)
            process.wait_for_port(node, http_port)
        found = Cluster(nodes, redis, redis_port)
        found.ports, found.http_ports, found.node_http_ports = node_ports, http_ports, http_ports
        if deploy_mode == "cluster":
            _wait_until_joined(nodes, http_ports)
        if through_nginx:
            config = _nginx_config(rest_port, http_ports, list(zip(listeners, node_ports)))
            found.nginx = process.Process("nginx", servers._nginx(folder, spare, shared=config), folder, cores)
            started.append(found.nginx)
            process.wait_for_port(found.nginx, rest_port)
            servers._wait_for_worker(spare)
            found.ports, found.http_ports = listeners, [rest_port]
        yield found
        for one in started:
            if one.has_ended():
                raise process.Trouble(f"{one.name} ended while it was measured: {one.last_words()}")
    finally:
        for one in started[1:]:  # all at once: each takes its time
            if not one.has_ended():
                one.popen.terminate()
        for one in reversed(started):
            one.stop()


def _redis(folder, port):
    program = servers.program("redis-server")
    if not program:
        raise process.Trouble("redis-server is not installed")
    return [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
            "--daemonize", "no", "--dir", str(folder)]


def _nginx_config(rest_port, http_ports, listeners):
    members = " ".join(f"server 127.0.0.1:{port};" for port in http_ports)
    return REST.format(port=rest_port, members=members) + "".join(
        LISTENER.format(port=port, behind=behind) for port, behind in listeners)


def _wait_until_joined(nodes, http_ports):
    until = time.monotonic() + READY_S
    said = "nothing"
    while time.monotonic() < until:
        for node in nodes:
            if node.has_ended():
                raise process.Trouble(f"{node.name} ended at start: {node.last_words()}")
        said = [state(port) for port in http_ports]
        if all(is_joined(one, len(nodes)) for one in said):
            return
        time.sleep(0.05)
    raise process.Trouble(f"the nodes did not find each other within {READY_S} s: {said}")


def state(http_port):
    """What the node says of the cluster; None when it says nothing."""
    try:
        return json.loads(get(http_port, "/actuator/cluster")[1])
    except (OSError, ValueError, http.client.HTTPException):
        return None


def is_joined(said, count):
    if not isinstance(said, dict) or said.get("state") != "up":
        return False
    return sum(1 for node in said.get("nodes", []) if node.get("live", True)) == count


def get(port, path):
    """(status, text)"""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    finally:
        connection.close()

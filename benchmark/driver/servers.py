"""The servers that are measured: how each is configured and started, on free ports, in a folder of its own.

Every peer keeps nothing and logs nothing, and gets the settings that its manual names for speed."""

import contextlib
import getpass
import grp
import http.client
import os
import resource
import shutil

import process

SYSTEM_PATHS = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])
NCHAN_MODULE = "/usr/lib/nginx/modules/ngx_nchan_module.so"
NOT_INSTALLED = "not installed"
MOST_FILES = 100000

NGINX = """\
{load}
user {user} {group};
daemon off;
worker_processes 1;
worker_rlimit_nofile {files};
pid {folder}/nginx.pid;
error_log {folder}/nginx.log crit;
events {{ worker_connections {files}; multi_accept on; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    tcp_nodelay on;
    {shared}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location = /200 {{ return 200 "ok"; }}
        {locations}
    }}
}}
"""

NCHAN_SHARED = "nchan_shared_memory_size 256m;"
NCHAN = """
        location = /ps {
            nchan_pubsub websocket;
            nchan_publisher_channel_id $arg_pub;
            nchan_subscriber_channel_id $arg_sub;
            nchan_subscriber_first_message newest;
            nchan_store_messages off;
        }
        location = /pub {
            nchan_publisher http;
            nchan_channel_id $arg_id;
            nchan_store_messages off;
        }
"""

NATS = """\
listen: "127.0.0.1:{plain}"
websocket {{
    listen: "127.0.0.1:{port}"
    no_tls: true
    compression: false
}}
logfile: "{folder}/nats.log"
max_connections: {files}
write_deadline: "30s"
"""

# It refuses to start with a WebSocket listener alone.
MOSQUITTO = """\
user {user}
persistence false
log_dest none
set_tcp_nodelay true
allow_anonymous true
max_connections -1
listener {plain} 127.0.0.1
listener {port} 127.0.0.1
protocol websockets
socket_domain ipv4
"""

PUSHCA = """\
server:
  address: 127.0.0.1
  port: {http_port}
pushca:
  pusher:
    socket-port: {port}
    shards: {shards}
    ping-interval-ms: 25s
"""



class Server:
    """A server at work: its ports, and the processes whose CPU time and memory are its own."""

    def __init__(self, running, port, http_port=None):
        self.port = port
        self.http_port = http_port
        self.pids = running.family()


def program(name):
    """Where an installed program is; None where it is not."""
    return shutil.which(name, path=SYSTEM_PATHS)


def missing(target):
    """Why the target cannot run here, or None."""
    needed = {"nchan": "nginx", "nginx": "nginx", "cluster": "redis-server", "nats": "nats-server", "mosquitto": "mosquitto"}.get(target)
    if needed and not program(needed):
        return NOT_INSTALLED
    if target == "nchan" and not os.path.exists(NCHAN_MODULE):
        return NOT_INSTALLED
    return None


@contextlib.contextmanager
def running(target, folder, build, cores, shards=1, arguments=()):
    """A Server of the target while the context lasts."""
    if missing(target):
        raise process.Trouble(missing(target))
    port, second = process.free_ports(2)
    command = COMMANDS[target](folder, build, port, second, shards) + list(arguments)
    started = process.Process(target, command, folder, cores)
    try:
        process.wait_for_port(started, port)
        if target in ("nginx", "nchan"):
            _wait_for_worker(port)
        yield Server(started, port, second if target == "pushca" else None)
        if started.has_ended():
            raise process.Trouble(f"{target} ended while it was measured: {started.last_words()}")
    finally:
        started.stop()


def file_limit():
    """Files a process may have open, raised as far as permitted."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return min(most, MOST_FILES) if most != resource.RLIM_INFINITY else MOST_FILES


def _wait_for_worker(port):
    """nginx opens its port before the process is there that answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/200")
        connection.getresponse().read()
    except (OSError, http.client.HTTPException) as error:
        raise process.Trouble(f"nginx gave no answer: {error}") from None
    finally:
        connection.close()


def _write(folder, name, template, **values):
    path = folder / name
    path.write_text(template.format(folder=folder, **values))
    return str(path)


def _raw(folder, build, port, second, shards):
    return [str(build / "raw-relay"), "--port", str(port)]


def _pushca(folder, build, port, second, shards):
    config = _write(folder, "pushca.yaml", PUSHCA, port=port, http_port=second, shards=shards)
    return [str(build / "pushca"), "--config", config]


def _nginx(folder, port, load="", shared="", locations=""):
    config = _write(
        folder, "nginx.conf", NGINX, port=port, load=load, shared=shared, locations=locations,
        user=getpass.getuser(), group=grp.getgrgid(os.getgid()).gr_name, files=file_limit())
    return [program("nginx"), "-p", str(folder), "-e", f"{folder}/nginx.log", "-c", config]


def _nginx_alone(folder, build, port, second, shards):
    return _nginx(folder, port)


def _nchan(folder, build, port, second, shards):
    return _nginx(folder, port, f"load_module {NCHAN_MODULE};", NCHAN_SHARED, NCHAN)


def _nats(folder, build, port, second, shards):
    config = _write(folder, "nats.conf", NATS, port=port, plain=second, files=file_limit())
    return [program("nats-server"), "-c", config]


def _mosquitto(folder, build, port, second, shards):
    config = _write(folder, "mosquitto.conf", MOSQUITTO, port=port, plain=second, user=getpass.getuser())
    return [program("mosquitto"), "-c", config]


COMMANDS = {
    "raw": _raw,
    "pushca": _pushca,
    "nginx": _nginx_alone,
    "nchan": _nchan,
    "nats": _nats,
    "mosquitto": _mosquitto,
}

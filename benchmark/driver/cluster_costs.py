"""What Redis does for each thing that happens in a cluster: counted by INFO before and after, the idle part taken away."""

import contextlib
import http.client
import json
import pathlib
import time

import process
import redis_info

SETTLE_S = 1.0
POSTS = 300
POST_S = 0.005       # between two of them: none shares a batch with another
CONNECT_LIMIT_S = 60
CALM_S, CALM_LIMIT_S = 6, 30
CLIENTS = 9000
TEXT = "m" * 128     # as long as the generator's


def cpu_s(pids):
    """CPU time of these processes so far, all threads, as the kernel counts it to the nanosecond."""
    total = 0
    for pid in pids:
        for path in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"):
            with contextlib.suppress(OSError):  # a thread may end meanwhile
                total += int(path.read_text().split()[0])
    return total / 1e9


def rest(cluster, seconds):
    """An idle cluster: a second of it, of all nodes together."""
    redis = redis_info.Redis(cluster.redis_port)
    try:
        time.sleep(SETTLE_S)
        return _rest(cluster, redis, seconds)
    finally:
        redis.close()


def _rest(cluster, redis, seconds):
    before, nodes, server = redis.counters(), cpu_s(cluster.pids), cpu_s([cluster.redis.pid])
    begin = time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - begin
    used_nodes, used_redis = cpu_s(cluster.pids) - nodes, cpu_s([cluster.redis.pid]) - server
    return {"nodes": len(cluster.nodes), "idle": redis_info.scaled(redis_info.difference(redis.counters(), before), 1 / took),
            "pusher_cpu_s": used_nodes / took, "redis_cpu_s": used_redis / took}


class Each:
    """One thing after the other in a cluster of its own; `found`: what each costs."""

    def __init__(self, cluster, build, folder, cores, seconds):
        self.cluster, self.build, self.folder, self.cores = cluster, build, folder, cores
        self.seconds = seconds
        self.redis = redis_info.Redis(cluster.redis_port)
        self.found = {}

    def run(self):
        time.sleep(SETTLE_S)
        idle = _rest(self.cluster, self.redis, self.seconds / 2)
        self.idle = idle["idle"]
        self.found["idle"] = idle
        load = self._connect()
        try:
            self._sends()
        finally:
            self._disconnect(load)
        self.redis.close()
        return self.found

    def measured(self, action, times):
        """The cost of one of so many, without what an idle cluster would have cost meanwhile."""
        before, begin = self.redis.counters(), time.monotonic()
        action()
        time.sleep(SETTLE_S / 2)  # confirmations
        took = time.monotonic() - begin
        cost = redis_info.without(redis_info.difference(self.redis.counters(), before), self.idle, took)
        return redis_info.scaled(cost, 1 / times)

    # ---- clients ----

    def _connect(self):
        command = [str(self.build / "pushca-load"), "idle", "--target", "pushca", "--clients", str(CLIENTS),
                   "--port", _list(self.cluster.ports), "--http-port", _list(self.cluster.http_ports), "--seconds", "3600"]
        for pid in self.cluster.pids:
            command += ["--pid", str(pid)]
        before = self.redis.counters()["memory"]
        keys = self.redis.ask("DBSIZE")
        load = process.Process("pushca-load", command, self.folder, self.cores)
        try:
            self.found["connect"] = self.measured(lambda: self._wait_for_keys(load, keys + CLIENTS), CLIENTS)
        except process.Trouble:
            load.stop()
            raise
        self.found["bytes_a_client"] = (self.redis.counters()["memory"] - before) / CLIENTS
        self._wait_for_calm()
        return load

    def _wait_for_calm(self):
        """Nodes look their entries through once after many have come: that is none of what is counted next."""
        scans, since, until = None, time.monotonic(), time.monotonic() + CALM_LIMIT_S
        while time.monotonic() - since < CALM_S and time.monotonic() < until:
            have = self.redis.counters()["calls"].get("scan", 0)
            if have != scans:
                scans, since = have, time.monotonic()
            time.sleep(0.2)

    def _disconnect(self, load):
        keys = self.redis.ask("DBSIZE")
        self.found["disconnect"] = self.measured(
            lambda: (load.stop(), self._wait_for_keys(None, keys - CLIENTS)), CLIENTS)

    def _wait_for_keys(self, load, count):
        until = time.monotonic() + CONNECT_LIMIT_S
        while (have := self.redis.ask("DBSIZE")) != count:
            if load and load.has_ended():
                raise process.Trouble(f"pushca-load ended: {load.last_words()}")
            if time.monotonic() > until:
                raise process.Trouble(f"the directory has {have} keys, not {count}, after {CONNECT_LIMIT_S} s")
            time.sleep(0.1)

    # ---- what they are sent ----

    def _sends(self):
        nodes = len(self.cluster.nodes)
        far = [number for number in range(1, CLIENTS) if number % nodes == 1][:POSTS]
        near = [number for number in range(1, CLIENTS) if number % nodes == 0][:POSTS]
        for name, filters in (("send_unknown", [who(number) for number in far]),   # asks the directory
                              ("send_known", [who(number) for number in far]),     # now in the cache
                              ("send_near", [who(number) for number in near]),
                              ("send_nobody", [{**who(1), "deviceId": f"nobody-{n}"} for n in range(POSTS)]),
                              ("multicast", [{"workSpaceId": "workSpaceBench", "accountId": f"client{number}@test.ee"}
                                             for number in range(2, 2 * POSTS + 2, 2)]),
                              ("find_any", [{"workSpaceId": "workSpaceBench", "applicationId": "OTHER", "findAny": True}
                                            for _ in range(POSTS)])):
            self.found[name] = self.measured(lambda filters=filters: self._post(filters), len(filters))

    def _post(self, filters):
        """To the first node, on which every client is whose number divides by how many nodes there are."""
        connection = http.client.HTTPConnection("127.0.0.1", self.cluster.node_http_ports[0], timeout=10)
        begin = time.monotonic()
        try:
            for number, one in enumerate(filters):
                time.sleep(max(0, begin + number * POST_S - time.monotonic()))
                connection.request("POST", "/send-notification", json.dumps({"filter": one, "message": TEXT}),
                                   {"Content-Type": "application/json"})
                answer = connection.getresponse()
                answer.read()
                if answer.status != 200:
                    raise process.Trouble(f"/send-notification answered {answer.status}")
        except (OSError, http.client.HTTPException) as error:
            raise process.Trouble(f"/send-notification: {error}") from None
        finally:
            connection.close()


def who(number):
    """As the generator calls its idle clients."""
    odd = number % 2
    return {"workSpaceId": "workSpaceOther" if odd else "workSpaceBench", "accountId": f"client{number}@test.ee",
            "deviceId": f"device-{number:08}", "applicationId": "CROWD" if odd else "OTHER"}


def _list(ports):
    return ",".join(map(str, ports))


def per_node_and_peer(idles):
    """From {nodes: number of an idle cluster a second}: (a, b) so that a * nodes + b * nodes * (nodes - 1) comes
    nearest, by least squares."""
    points = [(nodes, nodes * (nodes - 1), value) for nodes, value in idles.items()]
    xx = sum(x * x for x, _, _ in points)
    yy = sum(y * y for _, y, _ in points)
    xy = sum(x * y for x, y, _ in points)
    xv = sum(x * v for x, _, v in points)
    yv = sum(y * v for _, y, v in points)
    det = xx * yy - xy * xy
    if not det:
        return None
    return (xv * yy - yv * xy) / det, (yv * xx - xv * xy) / det

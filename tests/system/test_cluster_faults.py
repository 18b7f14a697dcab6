"""What may happen to a cluster, on real processes, with traffic between all nodes meanwhile. In every case: no crash, no
stray, no doubled message, nothing accepted and then lost, no false 200, what is refused is 503, service is back within
5 s of the fault's end, and 5 s later the directory is equal to what the nodes themselves say."""

import contextlib
import json
import signal
import ssl
import threading
import time

import pytest

from certificates import Certificates
from cluster import BACK_S, CHANNELS, NGINX, SANITIZED, Cluster, Halt, Net, Nginx, Wire, no_network_of_its_own, samples
from crowd import Crowd
from crowd import identity as crowd_identity
from frames import CLOSE, Raw, frame
from pushca import identity, wait_for
from redis_process import Redis, RedisCluster, Sentinels, free_port, needs_redis, slot_of
from traffic import Traffic

pytestmark = needs_redis
heavy = pytest.mark.skipif(SANITIZED, reason="faults in all their variety run against the release build")

PLAIN, ACKED = "/send-notification", "/send-notification-with-acknowledge"
LEASE_S = 3  # pushca.cluster.lease-ms
PAUSE = 0.15 if SANITIZED else 0.03


class Trial:
    """Three nodes with traffic; afterwards what must hold in every case."""

    def __init__(self, name, cluster, tell, **traffic):
        self.name = name
        self.cluster = cluster
        self.tell = tell
        self.traffic = Traffic(cluster, pause=PAUSE, **traffic)
        self.sockets_stay = True
        self.back = None

    def __enter__(self):
        self.traffic.__enter__()
        try:
            self.traffic.wait_until_back()
        except BaseException:
            self.traffic.__exit__()
            raise
        return self

    def __exit__(self, kind, value, trace):
        try:
            if kind is None:
                self.reckon()
        finally:
            self.traffic.__exit__()

    def live(self, seconds):
        """So long the fault lasts, or calm does."""
        time.sleep(seconds)

    def is_over(self, nodes=None):
        """The fault ends here: from now on the clock runs."""
        self.ended = time.monotonic()
        self.back = self.traffic.wait_until_back(nodes, since=self.ended)
        assert self.back < BACK_S, f"service came back after {self.back:.1f} s"
        self.cluster.wait_until_whole()
        self.right = self.cluster.wait_for_directory()

    def reckon(self):
        assert self.back is not None, "the fault has no end"
        self.traffic.settle()
        for node in self.cluster:
            assert node.says_ready()
        if self.sockets_stay:
            assert not [one for one in self.traffic.closed() if one.closed < self.ended], "sockets were closed"
        self.traffic.check(allowed=(200, 503), acked=(200, 408, 503), turns=False, tell=lambda text: self.tell(
            f"{self.name}: back after {self.back:.2f} s, the directory right {self.right:.2f} s later; {text}"))

    # -- what may be asked of the time of the fault

    def direct(self, since, until, local):
        receivers = self.traffic.receivers
        found = []
        for message in self.traffic.since(since):
            if message.kind == "direct" and message.begun < until and message.status is not None:
                (one,) = message.wanted
                if (receivers[one].node == message.node) == local:
                    found.append(message)
        return found

    def local_went_on(self, since, until):
        some = self.direct(since, until, local=True)
        assert some and {m.status for m in some} == {200}, some[:3]
        assert all(m.got for m in some if m.begun < until - 1)

    def remote_was_refused(self, since, until):
        some = self.direct(since, until, local=False)
        assert some and {m.status for m in some} == {503}, some[:3]

    def nothing_was_refused(self):
        assert 503 not in self.traffic.statuses(), [m for m in self.traffic.since(0) if m.status == 503][:3]


def probes(node):
    return [node.get(f"/actuator/health/{name}").status for name in ("liveness", "readiness")]


def reach(cluster, who, raw, wait=10):
    """From each node."""
    for node in cluster:
        assert node.post(PLAIN, {"filter": who, "message": f"from {node.name}"}).status == 200
        assert raw.text(wait) == f"from {node.name}"


# ---- nodes --------------------------------------------------------------------------------------------


@heavy
@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
def test_a_node_is_killed_and_its_clients_come_back_through_nginx(tmp_path, tell):
    listeners = {number: free_port() for number in range(3)}
    with Redis(tmp_path) as redis, Cluster(3, redis, listeners=listeners) as cluster, \
            Nginx(tmp_path, cluster, listeners) as nginx, \
            Trial("a node killed", cluster, tell, door=(nginx.rest, "/pushca")) as trial:
        trial.sockets_stay = False
        traffic = trial.traffic
        victims = [one for one in traffic.receivers if one.sessions[-1].node == 1]
        assert victims
        killed = time.monotonic()
        cluster.kill(1)

        def reached():
            """When the last of them first got what was sent after the end of his node."""
            first = []
            for victim in victims:
                times = [m.answered for m in traffic.since(killed) if m.status == 200 and m.kind == "direct" and m.wanted == {victim.number} and m.got]
                if not times:
                    return None
                first.append(min(times))
            return max(first) - killed

        took = wait_for(reached, 20)
        tell(f"{len(victims)} clients of a killed node were reached elsewhere after {took:.2f} s")
        assert took < 2
        trial.is_over()
        wait_for(lambda: not any(text.startswith("node-1 ") for text in cluster.written().values()), LEASE_S + 5)
        assert all(node.cluster()[1] == 2 for node in cluster)
        for node in cluster:
            answer = node.post("/open-connection", {"client": identity("1"), "pusherInstanceId": "node-1"})
            assert answer.json["pusherInstanceId"] != "node-1"
        cluster.start_again(1)
        with Raw(cluster[1], identity("1")) as raw:
            reach(cluster, identity("1"), raw)


@heavy
def test_find_any_goes_on_when_a_node_is_killed(tmp_path, tell):
    """A third of the filters has its home there, and the lease lasts longer than anybody should wait."""
    filters = {number: {"deviceId": f"one-of-{number}", "findAny": True} for number in range(24)}
    with Redis(tmp_path) as redis, Cluster(3, redis) as cluster, contextlib.ExitStack() as stack:
        raws = {number: stack.enter_context(Raw(cluster[number % 2], identity(f"{number}", deviceId=f"one-of-{number}")))
                for number in filters}

        def send():
            for number, who in filters.items():
                assert cluster[1 - number % 2].post(PLAIN, {"filter": who, "message": "is here"}).status == 200

        send()
        for raw in raws.values():
            assert raw.text() == "is here"
        killed = time.monotonic()
        cluster.kill(2)
        reached = {}
        while len(reached) < len(raws):
            send()
            for number, raw in raws.items():
                with contextlib.suppress(TimeoutError):
                    while raw.text(0.002):
                        reached.setdefault(number, time.monotonic() - killed)
        tell(f"findAny to 24 clients elsewhere, a node killed: each reached after at most {max(reached.values()):.2f} s")
        assert max(reached.values()) < 2
        wait_for(lambda: all(node.cluster()[1] == 2 for node in cluster))


@pytest.mark.tsan
def test_nodes_are_killed_and_started_again(tmp_path, tell):
    """One after the other, the same ids in new lives, before and after their lease has ended."""
    with Redis(tmp_path) as redis, Cluster(3, redis) as cluster, Trial("nodes killed and started", cluster, tell) as trial:
        trial.sockets_stay = False
        for number, pause in ((0, 0), (1, 0 if SANITIZED else LEASE_S + 2)):
            cluster.kill(number)
            time.sleep(pause)
            cluster.start_again(number)
            trial.traffic.wait_until_back()
        trial.is_over()


@heavy
def test_a_rolling_restart_under_load(tmp_path, tell):
    with Redis(tmp_path) as redis, Cluster(3, redis, "pushca.drain-window-ms=500") as cluster, \
            Trial("rolling restart", cluster, tell) as trial:
        trial.sockets_stay = False
        for number in range(3):
            trial.traffic.away = {number}
            cluster.stop(number)
            cluster.start_again(number)
            trial.traffic.away = set()
            trial.traffic.wait_until_back()
        assert {session.code for session in trial.traffic.closed()} == {1001}
        trial.is_over()


def test_nothing_is_lost_while_a_client_moves_and_a_node_is_silent(tmp_path, tell):
    """Whoever comes waits a moment for the others to confirm that they know; messages go on meanwhile, and one node is frozen."""
    who = identity("moves")
    with Redis(tmp_path) as redis, Cluster(3, redis) as cluster, contextlib.ExitStack() as stack:
        here, sent, slowest = [stack.enter_context(Raw(cluster[0], who))], 0, 0.0
        for number in range(6):
            came = threading.Event()

            def come(number=number, came=came):
                here.append(stack.enter_context(Raw(cluster[1 - number % 2], who)))
                came.set()

            thread = threading.Thread(target=come)
            cluster[2].process.send_signal(signal.SIGSTOP)
            try:
                began = time.monotonic()
                thread.start()
                while not came.is_set():
                    assert cluster[sent % 2].post(PLAIN, {"filter": who, "message": str(sent)}).status == 200
                    sent += 1
                slowest = max(slowest, time.monotonic() - began)
            finally:
                cluster[2].process.send_signal(signal.SIGCONT)
            thread.join()
            time.sleep(0.6)  # it has been heard again
        got = []
        for raw in here:
            with contextlib.suppress(TimeoutError):
                while True:
                    got.append(int(raw.text(0.3)))
        tell(f"{sent} messages while a client moved 6 times, at most {slowest * 1000:.0f} ms each time")
        assert sorted(got) == list(range(sent))
        assert slowest > 0.2, "nobody has waited"


def test_who_has_left_a_node_that_falls_silent_is_reached_elsewhere(tmp_path):
    """Clean ends; all remember where they were; and that node could pass nothing on."""
    people = [identity(f"leaves-{number}") for number in range(20)]
    with Redis(tmp_path) as redis, Cluster(3, redis) as cluster, contextlib.ExitStack() as stack:
        was = [stack.enter_context(Raw(cluster[0], who)) for who in people]
        for who, raw in zip(people, was):
            assert cluster[2].post(PLAIN, {"filter": who, "message": "before"}).status == 200
            assert raw.text() == "before"
        for raw in was:
            raw.send(frame(CLOSE, b"\x03\xe8"))
            raw.close_code()
        wait_for(lambda: not cluster[0].clients()[1])
        now = [stack.enter_context(Raw(cluster[1], who)) for who in people]
        cluster[0].process.send_signal(signal.SIGSTOP)
        try:
            for who, raw in zip(people, now):
                assert cluster[2].post(PLAIN, {"filter": who, "message": "after"}).status == 200
                assert raw.text() == "after"
        finally:
            cluster[0].process.send_signal(signal.SIGCONT)


@heavy
def test_who_comes_waits_once_however_many_leave(tmp_path, tell):
    """An entry takes half a second to be written, and a thousand clients a second leave."""
    with Redis(tmp_path) as redis, Wire(redis.address) as wire, Cluster(2, redis, *wire.sets()) as cluster:
        crowd = Crowd(cluster[0])
        crowd.connect([crowd_identity(number) for number in range(4500)])
        wire.delay_s = 0.25
        ended, times = threading.Event(), []

        def leave():
            began = time.monotonic()
            for number, client in enumerate(crowd.clients):
                time.sleep(max(0.0, began + number / 1000 - time.monotonic()))
                client.sock.close()
            ended.set()

        thread = threading.Thread(target=leave)
        thread.start()
        while not ended.is_set():
            began = time.monotonic()
            with Raw(cluster[0], identity(f"{len(times)}")):
                times.append(time.monotonic() - began)
        thread.join()
        tell(f"{len(times)} connects while 1,000 clients a second left, an entry takes 0.5 s: {max(times):.2f} s at most")
        assert min(times) > 0.45 and max(times) < 0.95


# ---- Redis --------------------------------------------------------------------------------------------


@pytest.mark.tsan
def test_redis_is_killed_and_started_again(tmp_path, tell):
    """What it knew is gone."""
    with Redis(tmp_path) as redis, Cluster(3, redis) as cluster, Trial("Redis killed", cluster, tell) as trial:
        redis.kill()
        wait_for(lambda: all(probes(node) == [200, 503] for node in cluster))
        began = time.monotonic()
        trial.live(2)
        until = time.monotonic()
        redis.start()
        trial.is_over()
        trial.local_went_on(began, until)
        trial.remote_was_refused(began, until)


def test_envelopes_while_redis_is_away_go_all_or_none(tmp_path):
    """Those for clients of this node go on; one that needs another node is refused with all beside it. And all that is
    refused is counted."""
    with Redis(tmp_path) as redis, Cluster(2, redis) as cluster, Raw(cluster[0], identity("1")) as one, \
            Raw(cluster[0], identity("2")) as two, Raw(cluster[1], identity("far")) as far:
        refused = 0

        def say(name, *people):
            items = [{"client": identity(who), "message": f"{name} {who}"} for who in people]
            one.say(f"{name}@@SEND_ENVELOPES@@" + json.dumps({"envelopes": items}))

        def wait_for_refused(more):
            nonlocal refused
            refused += more
            cluster[0].wait_for_metric('pushca_refused_total{reason="cluster"}', refused)

        say("before", "2", "far")
        assert (one.text(), two.text(), far.text()) == ("before@@RESPONSE", "before 2", "before far")
        redis.kill()
        wait_for(lambda: cluster.sees(cluster[0], "away"))
        wait_for_refused(0)
        say("mixed", "2", "far", "1")
        answer = one.text()
        assert answer.startswith("mixed@@RESPONSE@@") and "another node" in answer
        wait_for_refused(3)
        say("local", "1", "2")
        assert {one.text(), one.text()} == {"local 1", "local@@RESPONSE"}
        assert two.text() == "local 2"  # and nothing of those before
        wait_for_refused(0)
        assert cluster[0].post(PLAIN, {"filter": identity("far"), "message": "x"}).status == 503
        wait_for_refused(1)
        assert cluster[0].post(ACKED, {"id": "1", "client": identity("far"), "message": "x"}).status == 503
        wait_for_refused(1)
        redis.start()
        cluster.wait_until_whole()
        say("after", "far")
        assert (one.text(), far.text()) == ("after@@RESPONSE", "after far")


@heavy
def test_redis_is_killed_again_and_again(tmp_path, tell):
    with Redis(tmp_path) as redis, Cluster(3, redis) as cluster, Trial("Redis killed 5 times", cluster, tell) as trial:
        for pause in (0, 0.3, 0, 0.7, 0.1):
            redis.kill()
            time.sleep(pause)
            redis.start()
            time.sleep(0.8)
        trial.is_over()


@pytest.mark.parametrize("stale", [False, True])
def test_redis_comes_back_with_an_older_truth(tmp_path, tell, stale):
    """It was saved, then some moved to another node, some left, some came, and it is killed and started again from the dump.
    Who moved is reached at once; stale: also if the older socket stands still."""
    with Redis(tmp_path) as redis, Cluster(3, redis) as cluster, contextlib.ExitStack() as stack:
        people = [identity(f"{number}") for number in range(12)]
        older = [stack.enter_context(Raw(cluster[number % 3], who)) for number, who in enumerate(people)]
        cluster.wait_for_directory()
        assert redis.ask("SAVE") == "OK"
        before = cluster.written()
        now = {}
        for number, who in enumerate(people):
            if number < 6:  # moves
                now[number] = stack.enter_context(Raw(cluster[(number + 1) % 3], who))
                if not stale:
                    older[number].sock.close()
            elif number < 9:  # leaves
                older[number].sock.close()
            else:
                now[number] = older[number]
        people.append(identity("new"))
        now[12] = stack.enter_context(Raw(cluster[0], people[12]))
        cluster.wait_for_directory()
        assert cluster.written() != before
        redis.kill()
        redis.start()
        assert int(redis.info("rdb_last_load_keys_loaded")) >= len(before)
        wait_for(lambda: all(probes(node) == [200, 200] for node in cluster))
        began = time.monotonic()
        for number, raw in now.items():
            reach(cluster, people[number], raw)
        reached = time.monotonic() - began
        cluster.wait_until_whole()
        right = cluster.wait_for_directory()
        tell(f"Redis with an older truth: all reached in {reached:.2f} s, the directory right {right:.2f} s later")
        assert len(cluster.written()) == len(now)
        for number, raw in now.items():
            reach(cluster, people[number], raw)
        for number, raw in enumerate(older):
            if number < 6 and stale:
                with pytest.raises(TimeoutError):
                    raw.text(0.05)


@heavy
def test_a_replica_that_lagged_behind_takes_over(tmp_path, tell):
    """It has not heard of who moved in the last moments, whose older sockets stand still."""
    with Sentinels(tmp_path) as redis, Wire(redis.master.address) as wire, Cluster(3, redis) as cluster, \
            contextlib.ExitStack() as stack:
        people = [identity(f"{number}") for number in range(6)]
        for number, who in enumerate(people):
            stack.enter_context(Raw(cluster[number % 3], who))
        cluster.wait_for_directory()
        master = redis.master
        replica = next(one for one in redis.servers if one is not master)
        assert replica.ask("REPLICAOF", "127.0.0.1", wire.port) == "OK"
        wait_for(lambda: replica.info("master_link_status") == "up")
        before = replica.read("pushca:client:*")
        wire.stall()
        now = [stack.enter_context(Raw(cluster[(number + 1) % 3], who)) for number, who in enumerate(people)]
        assert replica.read("pushca:client:*") == before != master.read("pushca:client:*")
        master.kill()
        wire.cut()
        redis.wait_for_another(master)
        wait_for(lambda: all(probes(node) == [200, 200] for node in cluster), 30)
        for who, raw in zip(people, now):
            reach(cluster, who, raw)
        cluster.wait_until_whole()
        tell(f"a replica that lagged behind: the directory right after {cluster.wait_for_directory():.2f} s")
        for who, raw in zip(people, now):
            reach(cluster, who, raw)


@heavy
def test_redis_is_frozen_for_ten_seconds(tmp_path, tell):
    with Redis(tmp_path) as redis, Cluster(3, redis) as cluster, Trial("Redis frozen 10 s", cluster, tell) as trial:
        began = time.monotonic()
        redis.freeze()
        wait_for(lambda: all(probes(node) == [200, 503] for node in cluster), 8)
        away = time.monotonic()
        # who comes now is let in all the same
        with Raw(cluster[0], identity("late")) as late:
            assert cluster[0].post(PLAIN, {"filter": identity("late"), "message": "local"}).status == 200
            assert late.text() == "local"
            assert cluster[1].post(PLAIN, {"filter": identity("late"), "message": "remote"}).status == 503
            assert cluster[1].post(PLAIN, {"filter": {"accountId": identity("late")["accountId"]}, "message": "x"}).status == 503
            trial.live(10 - (time.monotonic() - began))
            until = time.monotonic()
            redis.thaw()
            trial.is_over()
            trial.local_went_on(away, until)
            trial.remote_was_refused(away, until)
            reach(cluster, identity("late"), late)


@heavy
def test_redis_is_slow(tmp_path, tell):
    """300 ms for each question, and now and then it does nothing for half a second."""
    with Redis(tmp_path) as redis, Wire(redis.address) as wire, \
            Cluster(3, redis, *wire.sets()) as cluster, Trial("Redis slow", cluster, tell) as trial:
        wire.delay_s = 0.15
        for _ in range(4):
            redis.ask("DEBUG", "SLEEP", "0.5")
            with Raw(cluster[1], identity("slow")) as raw:
                reach(cluster, identity("slow"), raw)
            trial.live(0.3)
        trial.nothing_was_refused()
        wire.delay_s = 0
        trial.is_over()


@heavy
def test_redis_is_full(tmp_path, tell):
    """Nothing can be written; everything goes on, and who comes meanwhile is reached."""
    with Redis(tmp_path, "--maxmemory-policy", "noeviction") as redis, Cluster(3, redis) as cluster, \
            Trial("Redis full", cluster, tell) as trial:
        redis.configure("maxmemory", "1mb")
        with contextlib.suppress(Exception):
            redis.ask("SET", "x", "y")
        with Raw(cluster[2], identity("late")) as late:
            for _ in range(5):
                reach(cluster, identity("late"), late)
                trial.live(1)
            for node in cluster:
                assert probes(node)[0] == 200
            trial.nothing_was_refused()
            redis.configure("maxmemory", "0")
            trial.is_over()
            reach(cluster, identity("late"), late)


@pytest.mark.tsan
def test_redis_is_emptied(tmp_path, tell):
    """FLUSHALL, and at once somebody connects and somebody is asked for."""
    with Redis(tmp_path) as redis, Cluster(3, redis) as cluster, Trial("FLUSHALL", cluster, tell) as trial:
        for number in range(2 if SANITIZED else 6):
            redis.ask("FLUSHALL")
            with Raw(cluster[number % 3], identity(f"{number}")) as raw:
                reach(cluster, identity(f"{number}"), raw)
            trial.live(0.4)
        trial.is_over()
        trial.nothing_was_refused()


@heavy
def test_a_sentinel_failover(tmp_path, tell):
    with Sentinels(tmp_path) as redis, Cluster(3, redis) as cluster, Trial("Sentinel failover", cluster, tell) as trial:
        began = time.monotonic()
        redis.fail_over()
        until = time.monotonic()
        trial.is_over()
        trial.local_went_on(began, until)


@heavy
def test_a_redis_cluster_moves_slots_and_fails_over(tmp_path, tell):
    with RedisCluster(tmp_path) as redis, Cluster(3, redis) as cluster:
        with Trial("Redis Cluster: slots moved", cluster, tell) as trial:
            slots = {slot_of(CHANNELS + node.name) for node in cluster}
            slots |= {slot_of("pushca:{nodes}")} | {slot_of(f"pushca:client:{one}") for one in list(cluster.truth())[:20]}
            one, other = redis.masters[:2]
            twice = [slot for slot in slots if redis.owner_of(slot) is one]
            for slot in slots.difference(twice):
                redis.move_slot(slot, one)
            trial.live(2)  # until all have heard of that: slots that move to and fro at once confuse Redis for good
            for slot in twice:
                redis.move_slot(slot, other)
            trial.is_over()
        with Trial("Redis Cluster: failover", cluster, tell) as trial:
            # the one with most of it
            owners = [redis.owner_of(slot) for slot in slots]
            began = time.monotonic()
            redis.fail_over(max(owners, key=owners.count))
            until = time.monotonic()
            trial.is_over()
            trial.local_went_on(began, until)


# ---- cuts ---------------------------------------------------------------------------------------------


class Cut:
    """What others sent to the clients of a node that was cut off for longer than its lease may be lost: to them it was dead.
    It has to be in a count, though."""

    def __init__(self, trial, number):
        self.trial = trial
        self.number = number
        self.before = self.counted()
        self.since = time.monotonic()
        self.until = float("inf")
        self.excused = set()
        trial.traffic.excuse = self.excuse

    def excuse(self, message, receiver):
        at_it = any(one.node == self.number and one.opened <= message.begun for one in receiver.sessions)
        others = message.node != self.number or message.kind == "any"  # another node may have chosen its receiver
        if others and at_it and self.since - 1 < message.begun < self.until:
            self.excused.add((message.key, receiver.number))
            return True
        return False

    def counted(self):
        names = r'^pushca_dropped_total\{reason="(node_gone|no_match|astray)"\}'
        return sum(sum(samples(node, names).values()) for node in self.trial.cluster if node.number != self.number)

    def mended(self):
        self.until = time.monotonic() + 1

    def all_is_counted(self):
        self.excused.clear()
        self.trial.traffic.lost()
        # of a filter, who would have matched on a node that is gone is not known
        lost = sum(self.trial.traffic.messages[key].kind == "direct" for key, _ in self.excused)
        counted = self.counted() - self.before
        self.trial.tell(f"{self.trial.name}: {lost} for clients of the node given up, {counted:.0f} counted")
        assert lost <= counted


def one_is_cut_off(trial, cut, mend, seconds):
    """Node 0 has no Redis any more; the others have."""
    cluster = trial.cluster
    lost = Cut(trial, 0)
    cut()
    began = time.monotonic()
    wait_for(lambda: probes(cluster[0]) == [200, 503])
    away = time.monotonic()
    trial.live(seconds - (away - began))
    assert all(node.says_ready() for node in cluster if node.number != 0)
    trial.traffic.wait_until_back([1, 2])
    until = time.monotonic()
    mend()
    lost.mended()
    trial.is_over()
    node0 = [m for m in trial.direct(away, until, local=False) if m.node == 0]
    assert node0 and {m.status for m in node0} == {503}
    node0 = [m for m in trial.direct(away, until, local=True) if m.node == 0]
    assert node0 and {m.status for m in node0} == {200}
    others = [m for m in trial.traffic.since(0) if m.node != 0 and m.status == 503 and m.kind != "acked"]
    assert not others, others[:3]
    lost.all_is_counted()


no_net = no_network_of_its_own()
needs_net = pytest.mark.skipif(no_net is not None, reason=f"cuts between hosts are not tested: {no_net}")


@heavy
@needs_net
def test_a_cut_between_a_node_and_redis(tmp_path, tell):
    """Longer than its lease; packets disappear."""
    with Net(4) as net, Redis(tmp_path, address=net.hosts[3].address, under=net.hosts[3].under) as redis, \
            Cluster(3, redis, hosts=net.hosts) as cluster, Trial("cut from Redis", cluster, tell) as trial:
        ends = net.hosts[0], net.hosts[3]
        one_is_cut_off(trial, lambda: net.cut(*ends), lambda: net.mend(*ends), LEASE_S + 4)


@heavy
@needs_net
def test_a_cut_between_two_hosts_of_nodes(tmp_path, tell):
    """They never speak to each other but through Redis: nobody notices. And one of them is unplugged for a moment."""
    with Net(4) as net, Redis(tmp_path, address=net.hosts[3].address, under=net.hosts[3].under) as redis, \
            Cluster(3, redis, hosts=net.hosts) as cluster:
        with Trial("cut between two nodes", cluster, tell) as trial:
            net.cut(net.hosts[0], net.hosts[1])
            trial.live(LEASE_S + 1)
            assert all(node.says_ready() for node in cluster)
            trial.traffic.wait_until_back()
            net.mend(net.hosts[0], net.hosts[1])
            trial.is_over()
            trial.nothing_was_refused()
        with Trial("a host unplugged", cluster, tell) as trial:
            net.unplug(net.hosts[1])
            trial.live(1)
            net.plug(net.hosts[1])
            trial.is_over()


@heavy
def test_a_wire_to_redis_that_stalls_for_less_than_a_lease(tmp_path, tell):
    """Nothing at all is lost, in either direction."""
    with Redis(tmp_path) as redis, contextlib.ExitStack() as stack:
        wires = [stack.enter_context(Wire(redis.address)) for _ in range(3)]
        with Cluster(3, redis, each=lambda number: wires[number].sets()) as cluster, \
                Trial("wire stalled 1.5 s", cluster, tell) as trial:
            wires[0].stall()
            trial.live(1.5)
            wires[0].resume()
            trial.is_over()
            for _ in range(3):
                wires[1].cut()
                trial.live(0.2)
                wires[1].listen()
                trial.live(0.8)
            trial.is_over()


@heavy
def test_a_deaf_node_sends_its_clients_elsewhere(tmp_path, tell):
    """It has no Redis for longer than the grace, and another node is well: 1012."""
    with Redis(tmp_path) as redis, contextlib.ExitStack() as stack:
        wires = [stack.enter_context(Wire(redis.address)) for _ in range(3)]
        with Cluster(3, redis, "pushca.cluster.deaf-grace-ms=1000", each=lambda number: wires[number].sets()) as cluster, \
                Trial("a deaf node", cluster, tell) as trial:
            trial.sockets_stay = False
            traffic = trial.traffic
            lost = Cut(trial, 0)
            there = [one for one in traffic.receivers if one.sessions[-1].node == 0]
            token = cluster[0].open().rpartition("/")[2]
            traffic.away.add(0)
            wires[0].stall()
            wait_for(lambda: all(one.sessions[0].closed for one in there), 15)
            assert {one.sessions[0].code for one in there} == {1012}
            assert probes(cluster[0]) == [200, 503]
            assert cluster[0].try_handshake("/" + token).status == 503
            assert cluster[0].cluster()[0] == "deaf"
            assert samples(cluster[0], r'sockets_closed_total\{reason="deaf"\}').popitem()[1] >= len(there)
            # all are elsewhere now, and reached
            wait_for(lambda: all(one.sessions[-1].closed is None and one.sessions[-1].node != 0 for one in there), 15)
            traffic.wait_until_back([1, 2])
            since = time.monotonic()
            wait_for(lambda: {r.number for r in there} <= {
                number for m in traffic.since(since) if m.kind == "direct" and m.got for number in m.wanted}, 15)
            assert all(node.says_ready() for node in cluster if node.number != 0)
            wires[0].resume()
            lost.mended()
            traffic.away.discard(0)
            trial.is_over()
            lost.all_is_counted()
            wait_for(cluster[0].says_ready)
            assert cluster[0].try_handshake("/" + token).status == 101
            with Raw(cluster[0], identity("back")) as raw:
                reach(cluster, identity("back"), raw)


def test_a_node_that_cannot_hear_is_let_go(tmp_path):
    """Its commands are carried out, and it may not subscribe any more. Others could send to several nodes no longer if what it
    is to hear piled up; and its clients, those of now and those to come, are better off elsewhere."""
    with Redis(tmp_path, "--user", "first", "on", ">word", "~*", "&*", "+@all") as redis, \
            Cluster(3, redis, "pushca.cluster.deaf-grace-ms=1000", "pushca.cluster.window-bytes=256KB", each=lambda number: [] if number else [
                "pushca.storage.redis.username=first", "pushca.storage.redis.password=word"]) as cluster, \
            Raw(cluster[0], identity("0")) as there:
        token = cluster[0].open().rpartition("/")[2]
        where = {"client": identity("new"), "pusherInstanceId": "node-0"}
        address = f":{cluster.ports[0][1]}/"
        assert address in cluster[1].post("/open-connection", where).body.decode()
        redis.ask("ACL", "SETUSER", "first", "resetchannels")
        assert there.close_code(15) == 1012
        for _ in range(2):
            wait_for(lambda: cluster[0].cluster()[0] == "deaf", 15)
            assert cluster[0].try_handshake("/" + token).status == 503
            for node in (cluster[1], cluster[2]):
                wait_for(lambda: cluster.sees(node, "up", 2), 10)
            assert address not in cluster[1].post("/open-connection", where).body.decode()
            with Raw(cluster[1], identity("1")) as here:
                for number in range(300):
                    answer = cluster[2].post(PLAIN, {"filter": {"applicationId": "MY_APPLICATION"}, "message": f"{number} {'.' * 1000}"})
                    assert answer.status == 200, cluster[2].log()
                    assert here.text().partition(" ")[0] == str(number)
            cluster.kill(0)  # and one that never could is no better
            cluster.start(0)
        redis.ask("ACL", "SETUSER", "first", "allchannels")
        cluster.wait_until_whole()
        with Raw(cluster[0], identity("0")) as raw:
            reach(cluster, identity("0"), raw)


def test_little_waits_in_redis_for_a_node_that_does_not_read(tmp_path, tell):
    """Redis cuts a subscriber off for which 32 MB wait, and what is sent again while nobody reads waits beside the first."""
    with Redis(tmp_path) as redis, Cluster(2, redis, "pushca.cluster.lease-ms=30000", "pushca.cluster.window-bytes=64MB",
                                           "pushca.cluster.echo-ms=8000", "pushca.limits.queue-bytes=64MB") as cluster, \
            Raw(cluster[1], identity("1")) as raw:
        frozen, most = cluster[1].process, 0
        frozen.send_signal(signal.SIGSTOP)
        try:
            for number in range(150):
                answer = cluster[0].post(PLAIN, {"filter": identity("1"), "message": f"{number} {'.' * 100000}"})
                assert answer.status == 200, cluster[0].log()
            until = time.monotonic() + 8
            while time.monotonic() < until:
                links = [dict(word.partition("=")[::2] for word in line.split()) for line in redis.ask("CLIENT", "LIST").splitlines()]
                most = max(most, *(int(link["omem"]) for link in links if link["name"] == "pushca:channels"))
                time.sleep(0.1)
        finally:
            frozen.send_signal(signal.SIGCONT)
        assert [int(raw.text(30).partition(" ")[0]) for _ in range(150)] == list(range(150))
        tell(f"{most / 1048576:.1f} MiB waited in Redis for a frozen node")
        assert most < 6 * 1048576
        assert cluster[1].log().count("redis link lost") == 0, cluster[1].log()


def test_a_shard_that_stands_still_for_a_while_buries_no_node(tmp_path):
    """More waits for it than its inbox may hold; the node's other threads go on, above all that of the cluster."""
    with Redis(tmp_path) as redis, Cluster(2, redis, "pushca.limits.inbox-bytes=64KB") as cluster, contextlib.ExitStack() as stack:
        there = [stack.enter_context(Raw(cluster[1], identity(str(number)))) for number in range(8)]
        sent = 0

        def send(size):
            nonlocal sent
            answer = cluster[0].post(PLAIN, {"filter": {"applicationId": "MY_APPLICATION"}, "message": f"{sent} {'.' * size}"})
            assert answer.status == 200, answer
            sent += 1

        send(0)
        assert [raw.text() for raw in there] == ["0 "] * 8
        life = cluster[1].clients()[0]
        with contextlib.ExitStack() as still:
            try:
                still.enter_context(Halt(cluster[1].process, "shard-0"))
            except PermissionError as failure:
                pytest.skip(f"no thread can be halted here: {failure}")
            until = time.monotonic() + LEASE_S + 3
            for _ in range(20):
                send(10000)
            while time.monotonic() < until:
                send(1000)
                assert cluster.sees(cluster[0], "up", 2), cluster[0].log()
                time.sleep(0.05)
        for raw in there:
            got = [raw.text(30) for _ in range(sent - 1)]
            assert [int(text.partition(" ")[0]) for text in got] == list(range(1, sent))
        wait_for(cluster.is_whole)
        assert cluster[1].clients()[0] == life
        for node in cluster:
            assert samples(node, "cluster_lost_total").popitem()[1] == 0, node.log()


def test_a_deaf_node_hears_over_tls_that_others_are_well(tmp_path):
    """Their REST ports speak TLS, by certificates that nobody here trusts."""
    made = Certificates(tmp_path)
    sets = [f"server.ssl.certificate={made['server.pem']}", f"server.ssl.certificate-private-key={made['server.key']}",
            "pushca.pusher.ssl.enabled=false", "pushca.cluster.deaf-grace-ms=500"]
    with Redis(tmp_path) as redis, Wire(redis.address) as wire, \
            Cluster(2, redis, *sets, each=lambda number: [] if number else wire.sets(),
                    tls=ssl.create_default_context(cafile=made["ca.pem"])) as cluster, \
            Raw(cluster[0], identity("1")) as raw:
        wire.stall()
        assert raw.close_code(30) == 1012
        assert cluster[0].cluster()[0] == "deaf"
        assert cluster[1].says_ready()


@heavy
def test_the_window_of_what_is_unconfirmed_is_bounded(tmp_path, tell):
    """A frozen Redis and a small window: what is over it is refused until then, and what was accepted arrives."""
    with Redis(tmp_path) as redis, Cluster(2, redis, "pushca.cluster.window-bytes=128KB", "pushca.cluster.waiting-bytes=128KB",
                                           "pushca.cluster.echo-ms=8000", "pushca.cluster.lease-ms=20000") as cluster:
        with Raw(cluster[1], identity("1")) as raw:
            reach(cluster, identity("1"), raw)
            redis.freeze()
            statuses = []
            for number in range(60):
                answer = cluster[0].post(PLAIN, {"filter": identity("1"), "message": f"{number} " + "." * 10000})
                statuses.append(answer.status)
            redis.thaw()
            accepted = [number for number, status in enumerate(statuses) if status == 200]
            tell(f"a window of 128 KB and a frozen Redis: {len(accepted)} of 60 messages of 10 KB accepted")
            assert set(statuses) == {200, 503} and 5 <= len(accepted) <= 40
            assert [int(raw.text(20).split()[0]) for _ in accepted] == accepted
            wait_for(lambda: cluster[0].post(PLAIN, {"filter": identity("1"), "message": "9999"}).status == 200)
            assert raw.text() == "9999"


@heavy
def test_a_hostile_voice_on_the_bus_harms_nobody(tmp_path, tell):
    """Whatever is published to a node's channel, or stands where its keys stand."""
    with Redis(tmp_path) as redis, Cluster(3, redis) as cluster, Trial("nonsense on the bus", cluster, tell) as trial:
        stop = threading.Event()

        def shout():
            number = 0
            while not stop.is_set():
                number += 1
                for text in (b"", b"x", b"PC1", b"PC1" + bytes(range(256)), b"PC1\x00\x06node-1" + b"\xff" * 64, b"\x00" * 100000):
                    redis.ask("SPUBLISH", f"{CHANNELS}node-{number % 3}", text)
                redis.ask("SET", f"pushca:client:{number:016x}", "nonsense")
                redis.ask("SET", f"pushca:client:{number:016x}0", "node-1 0000000000000001")
                redis.ask("HSET", "pushca:{nodes}", f"ghost-{number % 5}", "nonsense \xff" * 50)
                time.sleep(0.05)

        thread = threading.Thread(target=shout)
        thread.start()
        try:
            trial.live(3)
        finally:
            stop.set()
            thread.join()
        # keys of nobody's are nobody's to remove, at least not soon
        for key in redis.read("pushca:client:*"):
            if redis.ask("GET", key) in ("nonsense", "node-1 0000000000000001"):
                redis.ask("DEL", key)
        trial.is_over()
        trial.nothing_was_refused()

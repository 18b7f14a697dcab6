"""What a node that has gone never read: it reaches who has not got it, where he is by then, and nobody twice."""

import contextlib

import pytest

from cluster import CHANNELS, Cluster
from frames import Raw
from pushca import identity, wait_for
from redis_process import Redis, needs_redis

pytestmark = needs_redis

PLAIN = "/send-notification"


@contextlib.contextmanager
def full(redis):
    """It writes nothing: who comes is in no directory, and every node is asked."""
    redis.configure("maxmemory", "1mb")
    try:
        yield
    finally:
        redis.configure("maxmemory", "0")


def post(node, who, text):
    assert node.post(PLAIN, {"filter": who, "message": text}).status == 200


def kill(cluster, redis, number):
    """When nothing is on its way to it, and until Redis, too, knows that it does not listen."""
    name = cluster[number].name
    for node in cluster:
        node.wait_for_metric("pushca_cluster_unconfirmed_bytes", 0)
    cluster.kill(number)
    wait_for(lambda: redis.ask("PUBSUB", "SHARDNUMSUB", CHANNELS + name)[1] == 0)


def counted(node, reason):
    return node.metrics()[f'pushca_dropped_total{{reason="{reason}"}}']


@pytest.mark.tsan
def test_redis_is_full_and_a_node_is_killed(tmp_path):
    """While Redis is full nobody is buried: all that is said meanwhile comes back from the killed one at once."""
    with Redis(tmp_path, "--maxmemory-policy", "noeviction") as redis, Cluster(3, redis) as cluster, \
            contextlib.ExitStack() as stack:
        with full(redis):
            stays = stack.enter_context(Raw(cluster[1], identity("stays")))
            moves = Raw(cluster[2], identity("moves"))
            post(cluster[0], identity("moves"), "here")
            assert moves.text() == "here"
            kill(cluster, redis, 2)
            moves.sock.close()
            before = [counted(cluster[0], reason) for reason in ("no_match", "node_gone")]
            post(cluster[0], identity("moves"), "while away")
            post(cluster[0], identity("nowhere"), "to nobody")
            for number in range(20):
                post(cluster[0], identity("stays"), str(number))
            assert [stays.text() for _ in range(20)] == [str(number) for number in range(20)]  # and node 1 has said no to those before
            moves = stack.enter_context(Raw(cluster[1], identity("moves")))
            post(cluster[0], identity("moves"), "back")
            assert moves.text() == "back"
        assert moves.text(30) == "while away"
        wait_for(cluster.is_whole)
        cluster[0].wait_for_metric('pushca_dropped_total{reason="no_match"}', before[0] + 1)
        assert counted(cluster[0], "node_gone") == before[1]
        for raw in (stays, moves):
            with pytest.raises(TimeoutError):
                raw.text(0.3)

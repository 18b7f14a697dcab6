"""What is measured: the rows of the table and, for each, the jobs that run for it in every round."""

import dataclasses

PEERS = ("nchan", "nats", "mosquitto")

APART = "apart"          # the server on one core, the generator on the other
SHARE_ONE = "share one"  # both on the same core
SHARE_TWO = "share two"  # both on the same two cores


@dataclasses.dataclass(frozen=True)
class Profile:
    """How long, how often."""

    name: str
    rounds: int          # of this server, of raw and of what a target compares them with
    peer_rounds: int     # of the peers beside them
    large_rounds: int    # of what takes long to set up: 10,000 clients
    idle_rounds: int
    idle_seconds: float  # a whole interval of pings is 25
    seconds: float       # of a measured window
    peer_seconds: float
    warmup: float
    limit_s: float       # for all of it


FULL = Profile("full", rounds=5, peer_rounds=2, large_rounds=5, idle_rounds=5, idle_seconds=12.5, seconds=3, peer_seconds=2,
               warmup=0.7, limit_s=14.5 * 60)
QUICK = Profile("quick", rounds=3, peer_rounds=1, large_rounds=1, idle_rounds=1, idle_seconds=6, seconds=1, peer_seconds=1,
                warmup=0.4, limit_s=2.8 * 60)


@dataclasses.dataclass(frozen=True)
class Job:
    """One run of a generator against one target, repeated over the rounds."""

    key: str
    target: str
    scenario: str
    rounds: int
    seconds: float
    clients: int = 1000
    warmup: float = 0
    options: tuple = ()         # of the generator
    server_options: tuple = ()
    base: str = ""       # the job to divide by, for the column of ratios
    half_of: str = ""    # an open loop at half of the rate this one had in the same round
    layout: str = APART
    shards: int = 1
    is_peer: bool = False
    tool: str = "pushca-load"


@dataclasses.dataclass(frozen=True)
class Row:
    """`first`: what its own jobs build on, mostly from another row; `peers` run beside them for comparison."""

    name: str
    title: str
    jobs: tuple
    peers: tuple = ()
    first: tuple = ()


def rows(profile):
    """All rows in the order of the table. Jobs with the same key are one job."""
    return (_pairs(profile), _latency(profile), _http(profile), *_fan_outs(profile), _idle(profile),
            _storm(profile), _crowd(profile), _growth(profile), _filter(profile), _cores(profile))


def _job(profile, row, name, target, scenario, large=False, **more):
    """A job with the profile's windows; `large`: one that takes long to set up."""
    is_peer = more.get("is_peer", False)
    return Job(**{
        "key": f"{row}.{name}", "target": target, "scenario": scenario,
        "rounds": profile.peer_rounds if is_peer else profile.large_rounds if large else profile.rounds,
        "seconds": profile.peer_seconds if is_peer else profile.seconds, "warmup": profile.warmup, **more})


def _peers(profile, row, scenario, base, **more):
    return tuple(_job(profile, row, peer, peer, scenario, base=base, is_peer=True, **more) for peer in PEERS)


def _raw_and_pushca(profile):
    return (_job(profile, "pairs", "raw", "raw", "pairs"),
            _job(profile, "pairs", "pushca", "pushca", "pairs", base="pairs.raw"))


def _pairs(profile):
    modes = tuple(_job(profile, "pairs", mode, "pushca", "pairs", base="pairs.raw", options=("--mode", mode))
                  for mode in ("acked", "v2"))
    return Row("pairs", "1,000 clients, random pairs, 128 bytes of text, closed loop",
               (*_raw_and_pushca(profile), *modes), _peers(profile, "pairs", "pairs", "pairs.raw"))


def _latency(profile):
    raw = _job(profile, "latency", "raw", "raw", "pairs", half_of="pairs.pushca")
    pushca = _job(profile, "latency", "pushca", "pushca", "pairs", half_of="pairs.pushca", base="latency.raw")
    return Row("latency", "the same in an open loop, at half of the rate that pushca had in the closed one",
               (raw, pushca), first=_raw_and_pushca(profile))


def _http(profile):
    nchan = _job(profile, "http", "nchan", "nchan", "http", seconds=profile.peer_seconds)
    wrk = _job(profile, "http", "nginx", "nginx", "http", seconds=profile.peer_seconds, tool="wrk")
    pushca = _job(profile, "http", "pushca", "pushca", "http", base="http.nchan")
    acked = _job(profile, "http", "acked", "pushca", "http", base="http.nchan", options=("--mode", "acked"))
    return Row("http", "64 keep-alive connections post to 1,000 clients; ratios to nchan; "
                       "nginx: wrk and `return 200`", (nchan, pushca, wrk, acked))


def _fan_outs(profile):
    found = []
    for clients, large in ((1000, False), (10000, True)):
        name = f"fanout-{clients}"
        raw = _job(profile, name, "raw", "raw", "fanout", large, clients=clients)
        pushca = _job(profile, name, "pushca", "pushca", "fanout", large, clients=clients, base=raw.key)
        peers = _peers(profile, name, "fanout", raw.key, clients=clients)
        found.append(Row(name, f"one message to {clients:,} clients, the next when all have it", (raw, pushca), peers))
    return found


def _idle(profile):
    pushca = _job(profile, "idle", "pushca", "pushca", "idle", clients=10000, warmup=0,
                  rounds=profile.idle_rounds, seconds=profile.idle_seconds)
    raw = _job(profile, "idle", "raw", "raw", "idle", clients=10000, warmup=0, rounds=min(2, profile.idle_rounds),
               seconds=10, server_options=("--ping", "25"))
    peers = _peers(profile, "idle", "idle", "", clients=10000, warmup=0, rounds=1, seconds=1)
    return Row("idle", "10,000 clients that do nothing; pushca and raw ping each once in 25 s", (pushca, raw), peers)


def _storm(profile):
    raw = _job(profile, "storm", "raw", "raw", "storm", clients=10000, seconds=0, warmup=0)
    pushca = _job(profile, "storm", "pushca", "pushca", "storm", clients=10000, seconds=0, warmup=0, base=raw.key)
    return Row("storm", "10,000 connects, a mass disconnect, 10,000 connects; pushca asks for a token before each and "
                        "checks it", (raw, pushca))


def _crowd(profile):
    quiet = _job(profile, "crowd", "quiet", "pushca", "crowd", True, half_of="pairs.pushca", options=("--quiet",),
                 warmup=profile.seconds * 2 / 3)
    loud = _job(profile, "crowd", "loud", "pushca", "crowd", True, half_of="pairs.pushca", base=quiet.key,
                warmup=profile.seconds * 2 / 3)
    return Row("crowd", "the open loop while one client reads nothing and 10,000 others get a multicast each second, "
                        "against the quiet run", (quiet, loud), first=_raw_and_pushca(profile)[1:])


def _growth(profile):
    raw = _job(profile, "growth", "raw", "raw", "pairs", True, clients=10000)
    pushca = _job(profile, "growth", "pushca", "pushca", "pairs", True, clients=10000, base=raw.key)
    http_few = next(job for job in _http(profile).jobs if job.key == "http.pushca")
    http_many = _job(profile, "growth", "http", "pushca", "http", True, clients=15000)
    return Row("growth", "pairs with 10,000 clients, and http with 15,000, against 1,000",
               (raw, pushca, http_many), first=(*_raw_and_pushca(profile), http_few))


def _filter(profile):
    def filtering(clients, matches):
        return _job(profile, "filter", f"{matches}-of-{clients}", "pushca", "fanout", True, clients=clients,
                    seconds=min(1, profile.seconds), options=("--matches", str(matches)))
    return Row("filter", "a POST to 10, 100 or 1,000 of 15,000 clients, of whom half match each of two dimensions",
               (filtering(1000, 10), filtering(15000, 10), filtering(15000, 100), filtering(15000, 1000)))


def _cores(profile):
    one = _job(profile, "cores", "one", "pushca", "pairs", layout=SHARE_ONE)
    two = _job(profile, "cores", "two", "pushca", "pairs", layout=SHARE_TWO, shards=2, base=one.key)
    return Row("cores", "one shard and the generator on one core, two shards and the generator on two", (one, two))

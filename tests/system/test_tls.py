"""TLS on both listeners: who is let in, what passes, what goes wrong, what it costs."""

import asyncio
import contextlib
import email.utils
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import threading
import time

import pytest
import websockets

from certificates import Certificates, client_hello, openssl
from echo import handshake
from frames import TEXT, frame
from pushca import BINARY, Configured, Server, identity, parse_answer, wait_for
from tls_peer import WITH_ANSWER, WITHOUT_ANSWER, Peer

SANITIZED = "/release/" not in BINARY
ECHO = str(pathlib.Path(BINARY).with_name("ws-echo"))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


def trusting(made, version=None, client=None):
    context = ssl.create_default_context(cafile=made["ca.pem"])
    if version:
        context.minimum_version = context.maximum_version = version
    if client:
        context.load_cert_chain(made[f"{client}.pem"], made[f"{client}.key"])
    return context


def pem(made):
    return (f"server.ssl.certificate={made['server.pem']}",
            f"server.ssl.certificate-private-key=file:{made['server.key']}")


@pytest.fixture(scope="module")
def server(made):
    with Server(*pem(made), "pushca.pusher.shards=4", tls=trusting(made)) as one:
        yield one


KERNEL = pytest.mark.parametrize("kernel", ["false", "true"], ids=["openssl", "kernel"], scope="module")


@pytest.fixture(scope="module")
def either(made, kernel):
    """Encrypts by itself, or lets the kernel do it: where that offers none, OpenSSL goes on, and the log says so."""
    with Server(*pem(made), "pushca.pusher.shards=4", f"pushca.pusher.ssl.kernel={kernel}", tls=trusting(made)) as one:
        said = re.search(r" tls rest=on websocket=on kernel=(on|off|\"not offered\") ", one.log())[1]
        assert (said == "off") == (kernel == "false")
        yield one


def secure(server, made, port=None, context=None, session=None):
    """A TLS connection; the caller closes it."""
    sock = socket.create_connection(port or server.rest, timeout=20)
    try:
        context = context or trusting(made)
        return context.wrap_socket(sock, server_hostname="127.0.0.1", session=session)
    except BaseException:
        sock.close()
        raise


def ask(sock, path="/actuator/health"):
    """One GET on an open connection; the status line."""
    sock.sendall(f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
    got = b""
    while b"\r\n\r\n" not in got:
        more = sock.recv(65536)
        assert more, got
        got += more
    length = int(re.search(rb"Content-Length: (\d+)", got)[1])
    while len(got.partition(b"\r\n\r\n")[2]) < length:
        got += sock.recv(65536)
    return got.split(b"\r\n")[0]


def rest_until_end(sock):
    """What comes until the peer ends; a reset is an end, too."""
    got = b""
    try:
        while more := sock.recv(65536):
            got += more
    except (ConnectionResetError, ssl.SSLError):
        pass
    return got


# -- who is let in, and how ------------------------------------------------------------------------------

@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("port", ["rest", "ws"])
def test_versions_1_2_and_1_3_are_spoken_on_both_ports(server, made, version, port):
    with secure(server, made, getattr(server, port), trusting(made, version)) as sock:
        assert sock.version() == {ssl.TLSVersion.TLSv1_2: "TLSv1.2", ssl.TLSVersion.TLSv1_3: "TLSv1.3"}[version]
        assert ask(sock).startswith(b"HTTP/1.1 ")


@pytest.mark.parametrize("offer", [
    ["-tls1", "-cipher", "ALL:@SECLEVEL=0"],
    ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"],
    ["-tls1_2", "-cipher", "AES128-GCM-SHA256"],  # no forward secrecy
    ["-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA256"],  # CBC
    ["-tls1_2", "-cipher", "AECDH-AES128-SHA:@SECLEVEL=0"],  # nobody's key
    ["-tls1_2", "-cipher", "DHE-RSA-AES128-GCM-SHA256"],
])
def test_old_versions_and_weak_ciphers_are_refused(server, offer):
    answer = openssl("s_client", "-connect", f"127.0.0.1:{server.rest[1]}", *offer, check=False)
    said = (answer.stdout + answer.stderr).decode(errors="replace")
    assert answer.returncode != 0 and re.search("alert (protocol version|handshake failure)", said), said


def test_alpn_chooses_http_1_1_and_nothing_else(server, made):
    both = trusting(made)
    both.set_alpn_protocols(["h2", "http/1.1"])
    with secure(server, made, context=both) as sock:
        assert sock.selected_alpn_protocol() == "http/1.1"
        assert ask(sock) == b"HTTP/1.1 200 OK"
    other = trusting(made)
    other.set_alpn_protocols(["h2"])
    with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
        secure(server, made, context=other).close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_ticket_resumes_on_any_shard(server, made, version):
    context = trusting(made, version)
    resumed = server.metrics()["pushca_tls_resumed_total"]
    with secure(server, made, context=context) as sock:
        ask(sock)
        session = sock.session
    for _ in range(8):  # the kernel spreads them over four shards
        with secure(server, made, context=context, session=session) as sock:
            ask(sock)
            assert sock.session_reused
    assert server.metrics()["pushca_tls_resumed_total"] >= resumed + 8


def test_who_resumes_in_1_3_gets_another_ticket(server, made):
    context = trusting(made, ssl.TLSVersion.TLSv1_3)
    session, seen = None, set()
    for i in range(4):  # each ticket is used once
        with secure(server, made, context=context, session=session) as sock:
            ask(sock)  # the ticket comes before the answer
            assert sock.session_reused == (i > 0)
            session = sock.session
        seen.add(session.id)
    assert len(seen) == 4


def test_curl_and_its_end_of_tls(server, made):
    url = f"https://127.0.0.1:{server.rest[1]}/actuator"
    got = subprocess.run(["curl", "-sS", "--cacert", made["ca.pem"], url, url], capture_output=True, check=True, timeout=20)
    assert got.stdout.count(b'"href":"https://127.0.0.1') >= 14 and got.stderr == b""
    with secure(server, made) as sock:
        sock.sendall(b"GET /actuator/info HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
        sock.suppress_ragged_eofs = False  # an end without close_notify would raise
        while sock.recv(4096):
            pass


def test_the_advertised_url_is_wss(server):
    assert server.open().startswith(f"wss://127.0.0.1:{server.ws[1]}/")


@pytest.mark.parametrize("mode", ["want", "need"])
def test_certificates_of_clients(made, mode):
    sets = pem(made) + (f"server.ssl.client-auth={mode}", f"server.ssl.trust-certificate={made['ca.pem']}",
                        "pushca.pusher.ssl.enabled=false")
    with Server(*sets, tls=trusting(made, client="client")) as server:
        assert server.get("/actuator/health").status == 200
        # in 1.3 the client hears of a refusal after its handshake
        with pytest.raises((ssl.SSLError, ConnectionError)):
            with secure(server, made, context=trusting(made, client="stranger")) as sock:
                ask(sock)
        if mode == "want":
            with secure(server, made) as sock:
                assert ask(sock) == b"HTTP/1.1 200 OK"
        else:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                with secure(server, made) as sock:
                    ask(sock)
        # the other listener was left plain
        assert server.open().startswith("ws://")
        assert server.try_handshake("/" + server.open().rsplit("/", 1)[1]).status == 101


def lets_in(server, made, client):
    try:
        with secure(server, made, context=trusting(made, client=client)) as sock:
            return ask(sock) == b"HTTP/1.1 200 OK"
    except (ssl.SSLError, ConnectionError, AssertionError):  # of TLS 1.3 the refusal may be an end without bytes
        return False


@pytest.mark.parametrize("trusted, others", [
    ("ca", ["stranger"]),
    ("between", ["client", "stranger"]),  # signed by ca, which is not in the store
    ("client", ["below", "stranger"]),  # the certificate itself
])
@pytest.mark.parametrize("store", [False, True], ids=["file", "PKCS12"])
def test_each_certificate_of_a_trust_store_is_an_anchor(made, trusted, others, store):
    made.sign("between", "ca", "DNS:between", is_authority=True)
    made.sign("below", "between", "DNS:below")
    trust = [f"server.ssl.trust-certificate={made[trusted + '.pem']}"]
    if store:
        trust = [f"server.ssl.trust-store={made.store('trust.p12', 's3cret', '-nokeys', '-in', made[trusted + '.pem'])}",
                 "server.ssl.trust-store-password=s3cret"]
    who = "below" if trusted == "between" else "client"
    with Server(*pem(made), "server.ssl.client-auth=need", *trust, tls=trusting(made, client=who)) as server:
        assert lets_in(server, made, who)
        assert not any(lets_in(server, made, one) for one in others)


def test_a_key_store_is_no_store_of_many_anchors(made):
    """Whoever trusts his own certificate does not trust all others of those who signed it."""
    made.sign("between", "ca", "DNS:between", is_authority=True)
    made.sign("below", "between", "DNS:below")
    made.sign("beside", "between", "DNS:beside")
    store = made.store("own.p12", "s3cret", "-inkey", made["below.key"], "-in", made["below.pem"], "-certfile", made["between.pem"])
    with Server(*pem(made), "server.ssl.client-auth=need", f"server.ssl.trust-store={store}",
                "server.ssl.trust-store-password=s3cret", tls=trusting(made, client="below")) as server:
        assert lets_in(server, made, "below")
        assert not lets_in(server, made, "beside")


# -- floods ----------------------------------------------------------------------------------------------

FLOOD = 'pushca_sockets_closed_total{reason="flood"}'
SOON_S = 0.5  # for an answer beside a flood; it takes less than a thousandth of that without one


def test_keys_may_be_updated(server):
    floods = server.metrics()[FLOOD]
    for address, every, status in ((server.rest, 8, b"200"), (server.ws, 32, b"426")):
        with Peer(address) as peer:
            for i in range(32):  # the most of a second
                peer.update_key(WITH_ANSWER if i % 2 else WITHOUT_ANSWER)
                if i % every == every - 1:
                    assert ask(peer).startswith(b"HTTP/1.1 " + status)  # in keys that are new on both sides
    assert server.metrics()[FLOOD] == floods


@contextlib.contextmanager
def beside(flood, count=4):
    """Threads that do it again and again."""
    is_over = threading.Event()

    def run():
        while not is_over.is_set():
            with contextlib.suppress(OSError):
                flood(is_over)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for one in threads:
        one.start()
    try:
        yield
    finally:
        is_over.set()
        for one in threads:
            one.join()


def slowest_answer(server, made, count=200):
    """Of so many questions, the time that the slowest of the quicker nine tenths took: the cores are shared."""
    took = []
    with secure(server, made) as sock:
        for _ in range(count):
            begun = time.monotonic()
            assert ask(sock) == b"HTTP/1.1 200 OK"
            took.append(time.monotonic() - begun)
    return sorted(took)[count * 9 // 10]


def key_updates(address):
    """A flood for `beside`: new keys over one connection, for as long as it lasts."""
    def flood(is_over):
        with Peer(address) as peer:
            while not is_over.is_set():
                peer.update_key()

    return flood


def test_a_flood_of_key_updates_is_cut_and_the_others_are_served(made):
    with Server(*pem(made), "pushca.pusher.shards=1", "pushca.limits.tls-messages=5", tls=trusting(made)) as server:
        with Peer(server.rest) as peer:
            with pytest.raises(OSError):
                for _ in range(100000):
                    peer.update_key()
        assert server.metrics()[FLOOD] == 1

        with beside(key_updates(server.ws)):
            assert slowest_answer(server, made) < SOON_S
        assert server.metrics()[FLOOD] > 1


def test_key_updates_without_a_limit_take_turns_with_the_others(made):
    with Server(*pem(made), "pushca.pusher.shards=1", "pushca.limits.tls-messages=0", tls=trusting(made)) as server:
        with beside(key_updates(server.rest)):
            assert slowest_answer(server, made) < SOON_S
        assert server.metrics()[FLOOD] == 0


def test_a_hello_in_tiny_records_takes_turns_with_the_others(made):
    hello = client_hello()
    whole = b"".join(b"\x16\x03\x01\0\1" + hello[i : i + 1] for i in range(5, len(hello)))
    endless = b"\x16\x03\x01\0\4\1\1\xff\xff" + b"\x16\x03\x01\0\1x" * 0x1ffff
    with Server(*pem(made), "pushca.pusher.shards=1", tls=trusting(made)) as server:
        with socket.create_connection(server.rest, timeout=20) as sock:
            sock.sendall(whole)
            assert sock.recv(3) == b"\x16\x03\x03"  # is answered in spite of it

        def flood(_):
            with socket.create_connection(server.rest, timeout=2) as sock:  # for all of it
                sock.sendall(endless)

        with beside(flood):
            assert slowest_answer(server, made) < SOON_S


# -- files -----------------------------------------------------------------------------------------------

def works(made, *sets):
    with Server(*sets, "pushca.pusher.shards=1", tls=trusting(made)) as server:
        assert server.get("/actuator/health").status == 200


def refusal(*sets):
    command = [BINARY, "--check-config"]
    for one in sets:
        command += ["--set", one]
    got = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert got.returncode == 1 and got.stdout == "", got
    lines = [line for line in got.stderr.splitlines() if not line.startswith("note:")]
    assert len(lines) == 1 and lines[0].startswith("pushca: the configuration is wrong: "), got.stderr
    assert "Sanitizer" not in got.stderr
    return lines[0]


def test_stores_and_encrypted_keys_open(made):
    key = ("-inkey", made["server.key"], "-in", made["server.pem"], "-certfile", made["ca.pem"])
    store = made.store("server.p12", "s3cret", *key, "-name", "Main")
    works(made, f"server.ssl.key-store={store}", "server.ssl.key-store-password=s3cret", "server.ssl.key-alias=main")
    openssl("rsa", "-in", made["server.key"], "-aes256", "-passout", "pass:s3cret", "-out", made["locked.key"])
    both = pathlib.Path(made["both.pem"])
    both.write_bytes(pathlib.Path(made["server.pem"]).read_bytes() + pathlib.Path(made["locked.key"]).read_bytes())
    works(made, f"server.ssl.certificate={both}", "server.ssl.key-password=s3cret")
    works(made, f"server.ssl.key-store=file:{both}", "server.ssl.key-store-type=PEM", "server.ssl.key-store-password=s3cret")


def test_what_does_not_fit_is_refused_with_one_line(made):
    certificate, key = pem(made)
    store = made.store("wrong.p12", "s3cret", "-inkey", made["server.key"], "-in", made["server.pem"], "-name", "main")
    path = f"server.ssl.key-store={store}"
    opened = "server.ssl.key-store-password=s3cret"
    openssl("rsa", "-in", made["server.key"], "-aes256", "-passout", "pass:s3cret", "-out", made["shut.key"])
    locked = f"server.ssl.certificate-private-key={made['shut.key']}"
    trust = f"server.ssl.trust-store={made['server.key']}"

    def says(text, *sets):
        line = refusal(*sets)
        assert text in line and "s3cret" not in line and "wr0ng" not in line, line

    says("server.ssl.certificate: /nowhere.pem: No such file", "server.ssl.certificate=/nowhere.pem", key)
    says("there is no class path here", "server.ssl.certificate=classpath:a.pem", key)
    says("has no certificate in PEM form", f"server.ssl.certificate={made['server.key']}", key)
    says("has no readable private key", certificate, f"server.ssl.certificate-private-key={made['ca.pem']}")
    says("does not belong to the certificate", certificate, f"server.ssl.certificate-private-key={made['client.key']}")
    says("server.ssl.key-password is not given", certificate, locked)
    says("server.ssl.key-password does not open it", certificate, locked, "server.ssl.key-password=wr0ng")
    says("server.ssl.key-store-password is not given", path)
    says("server.ssl.key-store-password does not open it", path, "server.ssl.key-store-password=wr0ng")
    says("the first key in it is called main, not other", path, opened, "server.ssl.key-alias=other")
    says("is no PKCS12 store", f"server.ssl.key-store={made['server.pem']}", opened)
    says("server.ssl.trust-store", certificate, key, trust, "server.ssl.client-auth=need")
    says("expected TLSv1.2 and TLSv1.3, found TLSv1.1", certificate, key, "server.ssl.enabled-protocols=TLSv1.1,TLSv1.2")
    says("server.ssl.ciphers: TLS_RSA_WITH_AES_128_CBC_SHA", certificate, key,
         "server.ssl.ciphers=TLS_RSA_WITH_AES_128_CBC_SHA")
    says("expected server.ssl.certificate or server.ssl.key-store", "server.ssl.enabled=true")


def test_protocols_and_ciphers_can_be_narrowed(made):
    sets = pem(made) + ("server.ssl.enabled-protocols=TLSv1.2", "pushca.pusher.shards=1",
                        "server.ssl.ciphers=TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,ECDHE-ECDSA-AES128-GCM-SHA256")
    with Server(*sets, tls=trusting(made)) as server:
        with secure(server, made) as sock:
            assert sock.cipher()[0] == "ECDHE-RSA-AES256-GCM-SHA384" and sock.version() == "TLSv1.2"
        with pytest.raises(ssl.SSLError):
            secure(server, made, context=trusting(made, ssl.TLSVersion.TLSv1_3)).close()


# -- what passes -----------------------------------------------------------------------------------------

def test_pipelined_requests_are_answered_in_order(server, made):
    with secure(server, made) as sock:
        one = "GET /actuator/metrics/pushca.sockets HTTP/1.1\r\nHost: {}\r\n\r\n"
        sock.sendall("".join(one.format(i) for i in range(299)).encode() +
                     b"GET /actuator/info HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
        got = rest_until_end(sock)
        assert got.count(b"HTTP/1.1 200 OK") == 300 and got.endswith(b"}}")


@pytest.mark.tsan
@KERNEL
def test_clients_of_every_shard_hear_each_other(either, made):
    server = either

    async def talk():
        context = trusting(made)
        who = [identity(f"tls-{i}") for i in range(12)]
        socks = [await websockets.connect(server.open(one), ssl=context) for one in who]
        for i, sock in enumerate(socks):
            target = who[(i + 1) % len(who)]
            await sock.send(json.dumps({"command": "SEND_MESSAGE", "metaData": {
                "id": f"m{i}", "filter": target, "preserveOrder": False, "message": f"hello {i}"}}))
        for i, sock in enumerate(socks):
            text = await asyncio.wait_for(sock.recv(), 20)
            assert text.endswith(f"hello {(i - 1) % len(who)}"), text
        for sock in socks:
            await sock.close()
            assert sock.close_code == 1000

    asyncio.run(talk())


@pytest.fixture
def echo(made, kernel):
    command = [ECHO, "--port", "0"]
    for one in (*pem(made), f"pushca.pusher.ssl.kernel={kernel}"):
        command += ["--set", one]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    line = process.stderr.readline()
    try:
        yield "wss://127.0.0.1:" + re.search(r"port=(\d+)", line)[1]
    finally:
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=20)
        assert process.returncode == 0 and "Sanitizer" not in said, said


@KERNEL
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_large_messages_pass_both_ways(echo, made, version):
    async def talk():
        async with websockets.connect(echo, ssl=trusting(made, version), max_size=None, compression=None) as sock:
            large = os.urandom(8 << 20)
            await sock.send(large)
            assert await asyncio.wait_for(sock.recv(), 60) == large
            small = large[: (1 << 20) if not SANITIZED else (1 << 17)]
            await sock.send([small[i : i + 64] for i in range(0, len(small), 64)])
            assert await asyncio.wait_for(sock.recv(), 60) == small

    asyncio.run(talk())


def upgraded(server, made, who, **options):
    """A WebSocket by hand over TLS; the caller closes it."""
    url = server.open(who)
    sock = secure(server, made, server.ws, **options)
    sock.sendall(f"GET /{url.rsplit('/', 1)[1]} HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode())
    got = b""
    while b"\r\n\r\n" not in got:
        got += sock.recv(1)
    assert b" 101 " in got
    return sock


def frames_of(data):
    """(opcode, payload) of each whole frame a server sent."""
    found = []
    while len(data) >= 2:
        length, head = data[1], 2
        if length == 126:
            length, head = struct.unpack(">H", data[2:4])[0], 4
        elif length == 127:
            length, head = struct.unpack(">Q", data[2:10])[0], 10
        if len(data) < head + length:
            break
        found.append((data[0] & 15, data[head : head + length]))
        data = data[head + length :]
    assert data == b""
    return found


@KERNEL
def test_a_receiver_that_does_not_read_is_closed_and_hears_why(either, made):
    server = either
    who = identity("tls-deaf")
    slow = server.metrics()['pushca_sockets_closed_total{reason="slow"}']
    sock = upgraded(server, made, who)
    connection = http.client.HTTPSConnection(*server.rest, timeout=20, context=server.tls)
    texts = []
    for i in range(400):
        texts.append(f"{i} " + "x" * 60000)
        connection.request("POST", "/send-notification", json.dumps({"filter": who, "message": texts[-1]}),
                           {"Content-Type": "application/json"})
        assert connection.getresponse().read() is not None
        if i % 20 == 0 and server.metrics()['pushca_sockets_closed_total{reason="slow"}'] > slow:
            break
    connection.close()
    assert server.metrics()['pushca_sockets_closed_total{reason="slow"}'] == slow + 1
    found = frames_of(rest_until_end(sock))
    sock.close()
    assert found[-1][0] == 8 and found[-1][1][:2] == struct.pack(">H", 1013)
    heard = [payload.decode() for opcode, payload in found[:-1] if opcode == 1]
    assert heard == texts[: len(heard)] and heard


# -- SIGHUP ----------------------------------------------------------------------------------------------

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


class Renewable:
    """Certificate and key in files that are replaced, as a renewal does it."""

    def __init__(self, made, folder):
        self.made, self.folder = made, folder
        self.text = (f"server.ssl: {{certificate: {folder}/live.pem, certificate-private-key: {folder}/live.key}}\n"
                     "pushca.pusher.shards: 4\n")
        self.install("server")

    def install(self, certificate, key=None):
        """Copies of those, at once in place of the old ones."""
        for name, end in ((certificate, "pem"), (key or certificate, "key")):
            shutil.copy(self.made[f"{name}.{end}"], self.folder / "new")
            os.replace(self.folder / "new", self.folder / f"live.{end}")

    def renew(self, name, days=30):
        self.made.sign(name, "ca", "DNS:localhost,IP:127.0.0.1", days)
        self.install(name)

    def serve(self):
        return Configured(self.folder / "a.yaml", self.text, tls=trusting(self.made))


@pytest.fixture
def renewable(made, tmp_path):
    return Renewable(made, tmp_path)


def serials(server, made, count=8):
    """Of the certificates that so many new connections see: the kernel spreads them over the shards."""
    found = set()
    for i in range(count):
        with secure(server, made, (server.rest, server.ws)[i % 2]) as sock:
            found.add(sock.getpeercert()["serialNumber"])
    return found


def test_a_reload_tells_how_much_tls_a_peer_may_say(renewable):
    """To connections that are open, too, and twice: what is given back must not be asked any more."""
    with renewable.serve() as server, Peer(server.rest) as peer:
        for messages in (0, 5):
            text = renewable.text + f"pushca.limits.tls-messages: {messages}\n"
            server.reload(text, r"reloaded changed=.*pushca\.limits\.tls-messages")
            with pytest.raises(OSError) if messages else contextlib.nullcontext():
                for _ in range(100000 if messages else 100):
                    peer.update_key()
        assert server.metrics()[FLOOD] == 1


@pytest.mark.tsan
def test_a_renewed_certificate_counts_for_who_comes_and_drops_nobody(made, renewable):
    contexts = [trusting(made, version) for version in VERSIONS]
    with renewable.serve() as server, contextlib.ExitStack() as open_ones:
        kept = [open_ones.enter_context(secure(server, made, context=context)) for context in contexts]
        assert all(ask(sock) == b"HTTP/1.1 200 OK" for sock in kept)
        sessions = [sock.session for sock in kept]
        heard = open_ones.enter_context(upgraded(server, made, identity("here")))
        before = serials(server, made)

        renewable.renew("renewed")  # the same paths: nothing has changed in the configuration
        server.reload(renewable.text, 'reloaded changed=""')
        after = serials(server, made)
        assert len(before) == len(after) == 1 and before != after
        assert all(ask(sock) == b"HTTP/1.1 200 OK" for sock in kept)
        assert server.post("/send-notification", {"filter": identity("here"), "message": "still"}).status == 200
        assert frames_of(heard.recv(65536)) == [(1, b"still")]
        for context, session in zip(contexts, sessions):
            with secure(server, made, context=context, session=session) as sock:
                assert ask(sock) == b"HTTP/1.1 200 OK" and sock.session_reused

        made.sign("short", "ca", "DNS:localhost,IP:127.0.0.1", days=3)
        assert "certificate ends" not in server.log()
        other = renewable.text.replace("live", "short").replace(str(renewable.folder), str(made.folder))
        server.reload(other, r"reloaded changed=.*server\.ssl\.certificate, server\.ssl\.certificate-private-key")
        assert re.search("certificate ends days=[23] ", server.log())
        assert serials(server, made).isdisjoint(before | after)
        assert all(ask(sock) == b"HTTP/1.1 200 OK" for sock in kept)


def test_a_reload_with_a_broken_certificate_changes_nothing(made, renewable):
    with renewable.serve() as server, secure(server, made) as kept:
        before = serials(server, made)
        small = renewable.text + "pushca.limits.body-bytes: 300\n"

        def refused(reason, text=small):
            server.reload(text, "reload refused reason=.*" + reason)
            assert serials(server, made) == before and ask(kept) == b"HTTP/1.1 200 OK"
            body = {"filter": identity("nobody"), "message": "m" * 400}
            assert server.post("/send-notification", body).status == 200

        renewable.install("server", "client")
        refused("does not belong to the certificate")
        (renewable.folder / "live.pem").write_text("-----BEGIN CERTIFICATE-----\nnone\n")
        refused("live.pem")
        (renewable.folder / "live.pem").unlink()
        refused("live.pem: No such file")
        renewable.install("server")
        refused("which needs a restart", "pushca.limits.body-bytes: 300\n")
        refused("which needs a restart", "server.ssl.enabled: false\npushca.limits.body-bytes: 300\n")
        assert len(re.findall("reload refused", server.log())) == 5 and "reloaded" not in server.log()
        server.reload(small, "reloaded changed=pushca.limits.body-bytes")
        assert serials(server, made) == before


def test_tls_begins_and_ends_with_the_process(made, renewable):
    with renewable.serve() as server:
        off = "server.ssl.enabled: false\npushca.pusher.ssl.enabled: false\n"
        server.reload(renewable.text + off, "reloaded changed=")
        for key in ("server.ssl.enabled", "pushca.pusher.ssl.enabled"):
            assert f"change needs a restart key={key}\n" in server.log()
        assert len(serials(server, made)) == 1 and server.open().startswith("wss://")
    with Configured(renewable.folder / "b.yaml", "") as server:
        server.reload(renewable.text, "reload refused reason=.*which needs a restart")
        assert server.get("/actuator/health").status == 200 and server.open().startswith("ws://")


@pytest.mark.parametrize("version", VERSIONS)
def test_who_is_trusted_counts_from_the_reload_on_also_against_tickets(made, renewable, version):
    context = trusting(made, version)
    with renewable.serve() as server, secure(server, made, context=context) as kept:
        ask(kept)
        server.tls = trusting(made, client="client")
        need = f"server.ssl.client-auth: need\nserver.ssl.trust-certificate: {made['ca.pem']}\n"
        server.reload(renewable.text + need, "reloaded changed=.*server.ssl.client-auth")
        assert ask(kept) == b"HTTP/1.1 200 OK"
        assert server.get("/actuator/health").status == 200
        with pytest.raises((ssl.SSLError, ConnectionError)):
            with secure(server, made, context=context, session=kept.session) as sock:
                ask(sock)


# -- what goes wrong -------------------------------------------------------------------------------------

def send_raw(port, data):
    with socket.create_connection(port, timeout=20) as sock:
        sock.sendall(data)
        return rest_until_end(sock)


@pytest.mark.parametrize("port", ["rest", "ws"])
def test_nobody_shakes_hands_twice_on_a_connection(server, port):
    """1.2 lets a client ask for it; it costs a server more than the client. s_client does so when it reads R."""
    name = 'pushca_tls_handshakes_total{result="done"}'
    done = server.metrics()[name]
    command = ["openssl", "s_client", "-tls1_2", "-connect", f"127.0.0.1:{getattr(server, port)[1]}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as client:
        said = b""
        while b"Verify return code" not in said:
            said += client.stdout.readline()
            assert client.poll() is None, said
        client.stdin.write(b"R\n")
        said += client.communicate(timeout=20)[0]
    assert client.returncode == 1 and b"RENEGOTIATING" in said and b"no renegotiation" in said, said
    assert server.metrics()[name] == done + 2  # the client's one, and that of who asks now


@pytest.mark.parametrize("port", ["rest", "ws"])
def test_who_speaks_no_tls_is_told_or_cut(server, port):
    port = getattr(server, port)
    answer = send_raw(port, b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
    told, rest = parse_answer(answer)
    assert told.status == 400 and b"speaks TLS" in told.body and rest == b""
    assert email.utils.parsedate_to_datetime(told.headers["date"])
    for data in (b"garbage instead of a hello\r\n" * 100, b"\x16\x03\x01\xff\xff" + b"\x01" * 65535, b"\0" * 5,
                 b"\x16\x03\x01\x00\x04\x01\xff\xff\xff", client_hello() + b"and then plain words" * 50):
        answer = send_raw(port, data)
        assert b"HTTP" not in answer and len(answer) < 8000


def test_half_handshakes_end_in_time(made):
    sets = pem(made) + ("pushca.limits.handshake-ms=300", "pushca.limits.head-arrival-ms=300", "pushca.pusher.shards=1")
    with Server(*sets, tls=trusting(made)) as server:
        first = client_hello()
        for port in (server.rest, server.ws):
            for part in (b"", first[:1], first[:5], first[:100], first):
                send_raw(port, part)  # returns when the server has closed
        assert server.metrics()['pushca_tls_handshakes_total{result="failed"}'] == 10
        assert server.get("/actuator/health").status == 200


def test_who_meets_a_full_port_hears_nothing_in_plain_words(made):
    """Counted as on a plain port, but no HTTP: a client would take that for broken TLS."""
    sets = pem(made) + ("pushca.limits.http-connections=1", "pushca.limits.handshakes=1", "pushca.pusher.shards=1")
    with Server(*sets, tls=trusting(made)) as server:
        for port, reason in ((server.rest, "sockets"), (server.ws, "handshakes")):
            with secure(server, made, port):
                assert send_raw(port, client_hello()) == b""
                with pytest.raises((ssl.SSLError, ConnectionError)) as failure:
                    secure(server, made, port).close()
                assert "WRONG_VERSION" not in str(failure.value)
            counted, asked_in_vain = metrics_once_free(server)
            assert counted[f'pushca_refused_total{{reason="{reason}"}}'] == 2 + (asked_in_vain if port == server.rest else 0)
        counted, _ = metrics_once_free(server)
        assert counted['pushca_http_answers_total{status="5xx"}'] == 0


def metrics_once_free(server):
    """Of one whose only place the connection before may still hold; and how often it refused the question."""
    for refused in range(1000):
        with contextlib.suppress(OSError):
            return server.metrics(), refused
        time.sleep(0.01)
    pytest.fail("never free again")


def test_a_handshake_has_one_deadline_for_tls_head_and_body(made):
    sets = pem(made) + ("pushca.limits.handshake-ms=2000", "pushca.pusher.shards=1")
    with Server(*sets, tls=trusting(made)) as server, socket.create_connection(server.ws, timeout=20) as plain:
        begin = time.monotonic()
        time.sleep(0.7)
        with trusting(made).wrap_socket(plain, server_hostname="127.0.0.1") as sock:
            time.sleep(0.7)
            sock.sendall(b"POST /x HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\nhalf")
            answer = rest_until_end(sock)
        assert answer.startswith(b"HTTP/1.1 408 ") and b"pushca.limits.handshake-ms" in answer
        assert 1.9 < time.monotonic() - begin < 3  # a body with a time of its own: 3.4


def test_a_hello_in_single_bytes_is_understood(server, made):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting(made).wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    with socket.create_connection(server.rest, timeout=20) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        done = False
        while not done:
            try:
                client.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                pass
            for byte in outgoing.read():
                sock.sendall(bytes([byte]))
            if not done:
                incoming.write(sock.recv(65536))
        client.write(b"GET /actuator/health HTTP/1.1\r\nHost: t\r\n\r\n")
        sock.sendall(outgoing.read())
        got = b""
        while b"UP" not in got:
            incoming.write(sock.recv(65536))
            try:
                got += client.read(65536)
            except ssl.SSLWantReadError:
                pass


class Halfway:
    """A client in the middle of its handshake: the server has begun to answer."""

    def __init__(self, address, made):
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = trusting(made).wrap_bio(self.incoming, self.outgoing, server_hostname="127.0.0.1")
        self.sock = socket.create_connection(address, timeout=20)
        with pytest.raises(ssl.SSLWantReadError):
            self.tls.do_handshake()
        self._flush()
        self.incoming.write(self.sock.recv(1))

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.sock.close()

    def _flush(self):
        self.sock.sendall(self.outgoing.read())

    def complete(self):
        done = False
        while not done:
            self.incoming.write(self.sock.recv(65536))
            with contextlib.suppress(ssl.SSLWantReadError):
                self.tls.do_handshake()
                done = True

    def say(self, data):
        self.tls.write(data)
        self._flush()

    def rest(self):
        """What is said until the stream ends."""
        self.incoming.write(rest_until_end(self.sock))
        return self.tls.read(65536)


@pytest.mark.parametrize("port, status", [("rest", 200), ("ws", 503)])
def test_a_handshake_under_way_is_completed_in_a_drain(made, port, status):
    """Whoever had begun is told, and not cut."""
    sets = pem(made) + ("pushca.limits.close-wait-ms=20000", "pushca.drain-ms=60000", "pushca.pusher.shards=1")
    server = Server(*sets, tls=trusting(made))
    ticket = "/" + server.open().rsplit("/", 1)[1]
    with secure(server, made) as idle, Halfway(getattr(server, port), made) as begun:
        server.process.send_signal(signal.SIGTERM)
        assert rest_until_end(idle) == b""  # idle connections end: so would this one
        begun.complete()
        begun.say(handshake("/actuator/health/liveness" if port == "rest" else ticket))
        answer, _ = parse_answer(begun.rest())
        assert answer.status == status and answer.headers["connection"] == "close"
    assert server.stop() == 0
    assert "drain cut" not in server.log()


def test_a_handshake_that_stands_still_does_not_hold_the_end(made):
    server = Server(*pem(made), "pushca.limits.close-wait-ms=300", "pushca.drain-ms=600000", tls=trusting(made))
    with socket.create_connection(server.rest, timeout=20) as sock, socket.create_connection(server.ws, timeout=20) as other:
        sock.sendall(client_hello())
        assert sock.recv(1)
        server.process.send_signal(signal.SIGTERM)
        rest_until_end(sock)
        assert rest_until_end(other) == b""
    assert server.stop() == 0
    assert "drain cut" not in server.log()


def test_a_head_that_begins_in_a_drain_does_not_hold_the_end(made):
    """It has the time of its handshake, and no more."""
    server = Server(*pem(made), "pushca.limits.close-wait-ms=1000", "pushca.limits.head-arrival-ms=600000",
                    "pushca.drain-ms=600000", tls=trusting(made))
    with socket.create_connection(server.rest, timeout=20) as plain:
        plain.sendall(client_hello())
        assert plain.recv(1)  # a handshake that stands still, beside
        with Halfway(server.rest, made) as begun:
            server.process.send_signal(signal.SIGTERM)
            begun.complete()
            begun.say(b"GE")
            rest_until_end(begun.sock)
    assert server.stop() == 0
    assert "drain cut" not in server.log()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_broken_records_end_the_connection_and_nothing_else(server, made, version):
    for spoil in ("flip", "cut", "plain"):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = trusting(made, version).wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
        with socket.create_connection(server.rest, timeout=20) as sock:
            done = False
            while not done:
                try:
                    client.do_handshake()
                    done = True
                except ssl.SSLWantReadError:
                    pass
                sock.sendall(outgoing.read())
                if not done:
                    incoming.write(sock.recv(65536))
            client.write(b"GET /actuator/health HTTP/1.1\r\nHost: t\r\n\r\n")
            record = bytearray(outgoing.read())
            if spoil == "flip":
                record[-1] ^= 1
            elif spoil == "cut":
                del record[-10:]
            else:
                record = b"GET /actuator/health HTTP/1.1\r\nHost: t\r\n\r\n"
            sock.sendall(record)
            with contextlib.suppress(OSError):  # it may have ended already
                sock.shutdown(socket.SHUT_WR)
            incoming.write(rest_until_end(sock))
            with pytest.raises(ssl.SSLError):  # no answer, but an alert or the end
                while client.read(65536):
                    raise AssertionError("an answer to a broken record")
                raise ssl.SSLError("ended")
    assert server.get("/actuator/health").status == 200


def test_a_full_server_answers_probes_and_turns_sockets_away(made):
    """Unfinished messages use up the first step of the memory budget: REST stays open to TLS, too."""
    sets = pem(made) + ("pushca.limits.memory-bytes=64MB", "pushca.limits.memory-connections-percent=15")
    with Server(*sets, tls=trusting(made)) as server, contextlib.ExitStack() as open_ones:
        holders = [open_ones.enter_context(upgraded(server, made, identity(f"held-{i}"))) for i in range(200)]
        for sock in holders:
            sock.sendall(frame(TEXT, b"h" * 60000, final=False))
        wait_for(lambda: server.metrics()["pushca_memory_held_bytes"] > 0.2 * (64 << 20))
        for probe in ("readiness", "liveness") * 3:
            assert server.get(f"/actuator/health/{probe}").status == 200
        assert server.post("/open-connection", {"client": identity()}).status == 429
        with pytest.raises((ssl.SSLError, ConnectionError)):
            secure(server, made, server.ws).close()
        assert server.metrics()['pushca_refused_total{reason="memory"}'] >= 2


# -- what it costs ---------------------------------------------------------------------------------------

@pytest.mark.skipif(SANITIZED, reason="sanitizers change what memory costs")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_an_idle_connection_costs_at_most_16_kib(made, tell, version):
    count = 1000
    context = trusting(made, version)
    with Server(*pem(made), tls=trusting(made)) as server:
        socks = [upgraded(server, made, identity(f"idle-{i}"), context=context) for i in range(100)]
        before = server.resident_bytes()
        socks += [upgraded(server, made, identity(f"idle-{i}"), context=context) for i in range(100, 100 + count)]
        each = (server.resident_bytes() - before) / count
        for sock in socks:
            sock.close()
        tell(f"{each:.0f} bytes of resident memory per idle {version.name} connection, over {count}")
        assert each <= 16 * 1024


MUCH = 25 << 20 if SANITIZED else 250 << 20
GROWTH = 8 << 20


@pytest.mark.parametrize("version", VERSIONS)
def test_250_mb_sent_to_one_that_never_reads(made, tell, version):
    """As test_abuse does it in the plain: messages of 60 KB to one identity, which comes back now and then."""
    who = identity("deaf")
    body = json.dumps({"filter": who, "message": "m" * 60000}).encode()
    request = (b"POST /send-notification HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
               b"Content-Length: %d\r\n\r\n" % len(body)) + body
    context = trusting(made, version)
    with Server(*pem(made), tls=context) as server, secure(server, made, context=context) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # a request is several records: none waits for another's ACK
        deaf = [upgraded(server, made, who, context=context)]
        server.post("/send-notification", {"filter": who, "message": "first"})
        before, most, sent = server.memory_bytes(), 0, 0
        while sent < MUCH:
            sock.sendall(request)
            assert b" 200 " in sock.recv(4096)
            sent += len(body)
            most = max(most, server.memory_bytes() - before)
            if sent // (MUCH // 4) >= len(deaf):
                deaf.append(upgraded(server, made, who, context=context))
        assert server.metrics()['pushca_sockets_closed_total{reason="slow"}'] >= len(deaf) - 1
        for one in deaf:
            one.close()
        tell(f"{sent >> 20} MB sent at {len(deaf)} {version.name} sockets that never read: "
             f"{most / (1 << 20):.1f} MiB more memory at most")
        assert most <= GROWTH

"""The REST listener and the handshake door, asked by curl, Python's client and by hand."""

import asyncio
import base64
import hashlib
import hmac
import json
import re
import select
import socket
import struct
import subprocess
import time

import pytest
import websockets

from pushca import Server, identity, parse_answer

PLAIN = "/send-notification"
ACKED = "/send-notification-with-acknowledge"
OPEN = "/open-connection"
POOL = "/open-connection-pool"
DIMENSIONS = ("workSpaceId", "accountId", "deviceId", "applicationId")
URLS = ("externalAdvertisedUrl", "internalAdvertisedUrl", "browserAdvertisedUrl")
KIB = 1024
SECRET = "a secret of the tests, thirty-two bytes at least"


@pytest.fixture(scope="module", name="server")
def make_server():
    with Server() as server:
        yield server


def to_nobody(message="x", **more):
    return {"filter": identity("nobody"), "message": message, **more}


def assert_error(answer, status, *words, path=None):
    assert answer.status == status, answer
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.headers["access-control-allow-origin"] == "*"
    error = answer.json
    assert set(error) == {"timestamp", "status", "error", "message", "path"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", error["timestamp"])
    assert error["status"] == status
    assert error["error"]
    for word in words:
        assert word in error["message"], error
    if path is not None:
        assert error["path"] == path


def json_post(path, body, extra=""):
    head = f"POST {path} HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n{extra}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


# -- opening connections -----------------------------------------------------------------------------------


@pytest.mark.parametrize("spelling", ["client", "Client"])
def test_open_connection_gives_three_urls_with_one_token(server, spelling):
    answer = server.curl(OPEN, "-H", "Content-Type: application/json", "-d", json.dumps({spelling: identity()}))
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.headers["access-control-allow-origin"] == "*"
    opened = answer.json
    assert set(opened) == {"pusherInstanceId", *URLS}
    assert re.fullmatch(r"[A-Za-z0-9-]+", opened["pusherInstanceId"])
    base, token = opened[URLS[0]].rsplit("/", 1)
    assert base == f"ws://127.0.0.1:{server.ws[1]}"
    assert re.fullmatch(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", token)
    assert {opened[name] for name in URLS} == {opened[URLS[0]]}


def test_the_four_dimensions_are_in_the_token_and_it_lives_half_an_hour(server):
    claims = server.open().rsplit("/", 1)[1].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    assert {name: claims[name] for name in DIMENSIONS} == identity()
    assert claims["exp"] - claims["iat"] == 1800


def test_the_instance_asked_for_is_no_condition(server):
    mine = server.post(OPEN, {"client": identity()}).json["pusherInstanceId"]
    for asked in (None, "", "node-elsewhere", mine):
        answer = server.post(OPEN, {"client": identity(), "pusherInstanceId": asked, "apiKey": None})
        assert (answer.status, answer.json["pusherInstanceId"]) == (200, mine)


def test_advertised_urls_come_from_the_settings():
    with Server(
        "pushca.pusher.external-advertised-url=ws://outside.example:35085",
        "pushca.pusher.browser-advertised-url=wss://web.example/push/",
        "pushca.pusher.instance-id=node-a",
    ) as server:
        opened = server.post(OPEN, {"client": identity()}).json
        token = opened[URLS[0]].rsplit("/", 1)[1]
        assert opened == {
            "pusherInstanceId": "node-a",
            "externalAdvertisedUrl": "ws://outside.example:35085/" + token,
            "internalAdvertisedUrl": "ws://outside.example:35085/" + token,
            "browserAdvertisedUrl": "wss://web.example/push/" + token,
        }
        pool = server.post(POOL, {"client": identity(), "poolSize": 1}).json
        assert pool["addresses"][0]["browserAdvertisedUrl"].startswith("wss://web.example/push/")


@pytest.mark.parametrize("size", [1, 2, 100])
def test_a_pool_has_as_many_addresses_as_asked_for(server, size):
    answer = server.post(POOL, {"client": identity(), "pusherInstanceId": None, "poolSize": size})
    assert answer.status == 200
    assert set(answer.json) == {"pusherInstanceId", "addresses"}
    assert len(answer.json["addresses"]) == size
    tokens = set()
    for address in answer.json["addresses"]:
        assert set(address) == set(URLS)
        tokens.update(address.values())
    assert len(tokens) == size


@pytest.mark.parametrize("size", [0, -1, 101, 2**40, 1.5, "2", True, None])
def test_a_pool_of_another_size_is_refused(server, size):
    assert_error(server.post(POOL, {"client": identity(), "poolSize": size}), 400, "poolSize", path=POOL)
    assert_error(server.post(POOL, {"client": identity()}), 400, "poolSize")


def test_full_of_sockets_is_429_on_open_and_503_on_handshake():
    with Server("pushca.pusher.socket-pool-size=2") as server:
        target = "/" + server.open().rsplit("/", 1)[1]
        held = [server.handshake(target) for _ in range(2)]
        assert [answer.status for answer, _, _ in held] == [101, 101]
        for path, more in ((OPEN, {}), (POOL, {"poolSize": 2})):
            answer = server.post(path, {"client": identity(), **more})
            assert_error(answer, 429, "socket-pool-size", path=path)
            assert answer.headers["retry-after"] == "1"
        refused = server.try_handshake(target)
        assert_error(refused, 503, "socket-pool-size")
        assert refused.headers["retry-after"] == "1"
        assert server.metrics()['pushca_refused_total{reason="sockets"}'] == 3
        assert server.post(PLAIN, to_nobody()).status == 200
        for _, sock, _ in held:
            sock.close()
        server.wait_for_metric("pushca_sockets", 0)
        assert server.try_handshake("/" + server.open().rsplit("/", 1)[1]).status == 101


# -- sending -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("filtered", [identity("nobody"), {}, {"workSpaceId": None, "accountId": ""}, {"findAny": True}])
def test_a_notification_is_accepted_with_an_empty_200(server, filtered):
    before = server.metrics()['pushca_accepted_total{class="plain",entry="rest"}']
    answer = server.post(PLAIN, {"filter": filtered, "message": "hello", "unknown": [{"member": 1}]})
    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", "0")
    assert server.metrics()['pushca_accepted_total{class="plain",entry="rest"}'] == before + 1


def test_a_notification_reaches_its_receiver_as_the_bare_text(server):
    text = 'a "quoted"@@text, \u00fcber-lang \U0001f600 ' + "x" * 70000

    async def run():
        async with websockets.connect(server.open(identity("receiver"))) as receiver:
            answer = await asyncio.to_thread(server.post, PLAIN, {"filter": identity("receiver"), "message": text})
            assert answer.status == 200
            assert await asyncio.wait_for(receiver.recv(), 10) == text

    asyncio.run(run())


def test_many_requests_in_a_row_on_one_connection_arrive_in_order(server):
    bodies = [json.dumps({"filter": identity("in-order"), "message": str(i), "preserveOrder": i % 2 == 0}) for i in range(200)]

    async def run():
        async with websockets.connect(server.open(identity("in-order"))) as receiver:
            data = b"".join(json_post(PLAIN, body.encode()) for body in bodies)
            answers, rest = await asyncio.to_thread(server.raw, data, len(bodies))
            assert [answer.status for answer in answers] == [200] * len(bodies)
            assert rest == b""
            got = [await asyncio.wait_for(receiver.recv(), 10) for _ in bodies]
            assert got == [str(i) for i in range(len(bodies))]

    asyncio.run(run())


def ask_acked(server, who, **more):
    return server.post(ACKED, {"id": "messageId", "client": who, "message": "answer me", **more})


def test_an_acknowledged_message_answers_200_once_it_was_acknowledged(server):
    who = identity("acknowledges")

    async def run():
        async with websockets.connect(server.open(who)) as receiver:
            asking = asyncio.ensure_future(asyncio.to_thread(ask_acked, server, who))
            mid, text = (await asyncio.wait_for(receiver.recv(), 10)).split("@@")
            assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}-0", mid)
            assert text == "answer me"
            assert not asking.done()
            await receiver.send(json.dumps({"command": "ACKNOWLEDGE", "metaData": {"messageId": mid}}))
            answer = await asking
            assert (answer.status, answer.body) == (200, b"")

    asyncio.run(run())


def test_an_acknowledged_message_to_nobody_is_408_after_the_timeout():
    with Server("pushca.acknowledge-timeout.ms=300") as server:
        start = time.monotonic()
        answer = ask_acked(server, identity("absent"))
        assert time.monotonic() - start >= 0.3
        assert_error(answer, 408, "300", "pushca.acknowledge-timeout.ms", path=ACKED)


def test_an_acknowledge_that_comes_too_late_changes_nothing():
    who = identity("late")

    async def run(server):
        async with websockets.connect(server.open(who)) as receiver:
            asking = asyncio.ensure_future(asyncio.to_thread(ask_acked, server, who))
            mid = (await asyncio.wait_for(receiver.recv(), 10)).split("@@")[0]
            assert (await asking).status == 408
            asking = asyncio.ensure_future(asyncio.to_thread(ask_acked, server, who))
            await asyncio.wait_for(receiver.recv(), 10)
            await receiver.send("1@@ACKNOWLEDGE@@" + json.dumps({"messageId": mid}))
            assert (await asking).status == 408

    with Server("pushca.acknowledge-timeout.ms=500") as server:
        asyncio.run(run(server))
        assert server.metrics()["pushca_acknowledged_total"] == 0
        assert server.metrics()["pushca_expired_total"] == 2


def test_a_caller_that_is_gone_is_forgotten(server):
    body = json.dumps({"client": identity("absent"), "message": "x"}).encode()
    before = server.metrics()["pushca_expired_total"]
    for _ in range(3):
        with socket.create_connection(server.rest, timeout=10) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
            sock.sendall(json_post(ACKED, body))
    server.wait_for_metric('pushca_connections{listener="rest"}', 1)
    assert ask_acked(server, identity("absent")).status == 408
    assert server.metrics()["pushca_expired_total"] == before + 1


def test_a_receiver_with_too_many_open_messages_is_429():
    who = identity("busy")

    async def run(server):
        async with websockets.connect(server.open(who)) as receiver:
            first = asyncio.ensure_future(asyncio.to_thread(ask_acked, server, who))
            await asyncio.wait_for(receiver.recv(), 10)
            answer = await asyncio.to_thread(ask_acked, server, who)
            assert_error(answer, 429, "open-deliveries", path=ACKED)
            assert answer.headers["retry-after"] == "1"
            assert (await first).status == 408

    with Server("pushca.limits.open-deliveries=1", "pushca.acknowledge-timeout.ms=3000") as server:
        asyncio.run(run(server))


# -- bad bodies --------------------------------------------------------------------------------------------


def without(who, name):
    return {key: value for key, value in who.items() if key != name}


@pytest.mark.parametrize("name", DIMENSIONS)
def test_a_missing_empty_or_wrong_dimension_is_named(server, name):
    for bad in (without(identity(), name), identity(**{name: ""}), identity(**{name: None}), identity(**{name: 5}),
                identity(**{name: {}}), identity(**{name: "tab\there"})):
        for path, more in ((OPEN, {}), (POOL, {"poolSize": 1}), (ACKED, {"message": "x"})):
            assert_error(server.post(path, {"client": bad, **more}), 400, name, path=path)
        excluding = {"filter": {"exclude": [identity(), bad]}, "message": "x"}
        assert_error(server.post(PLAIN, excluding), 400, "exclude[1]", name, path=PLAIN)
    for bad in (5, [], True):
        assert_error(server.post(PLAIN, {"filter": {name: bad}, "message": "x"}), 400, name)


@pytest.mark.parametrize("path, body, word", [
    (OPEN, {}, "client"),
    (OPEN, {"client": "me"}, "client"),
    (OPEN, [], "object"),
    (PLAIN, {"message": "x"}, "filter"),
    (PLAIN, {"filter": []}, "filter"),
    (PLAIN, {"filter": {}}, "message"),
    (PLAIN, {"filter": {}, "message": 1}, "message"),
    (PLAIN, {"filter": {"findAny": "yes"}, "message": "x"}, "findAny"),
    (PLAIN, {"filter": {"exclude": {}}, "message": "x"}, "exclude"),
    (PLAIN, {"filter": {}, "message": "x", "preserveOrder": 1}, "preserveOrder"),
    (PLAIN, {"filter": {}, "message": "x", "id": 1}, "id"),
    (ACKED, {"message": "x"}, "client"),
    (ACKED, {"client": identity()}, "message"),
])
def test_a_wrong_member_is_named(server, path, body, word):
    assert_error(server.post(path, body), 400, word, path=path)


@pytest.mark.parametrize("body", [
    b"", b" ", b"{", b"nonsense", b'{"message":"x"', b'{"a":1}x', b'{"a":1}{}', b'{"a":1,"a":2}', b'{"a":{"b":1,"b":1}}',
    b'{"a":"\\ud800"}', b'{"a":"\xff"}', b'{"a":"\xed\xa0\x80"}', b'{"a":01}', b"{'a':1}", b'{"a":"\n"}', b"\x00", b"[" * 10000,
])
def test_what_is_not_json_is_400(server, body):
    assert_error(server.post(PLAIN, body), 400, path=PLAIN)


def test_an_error_in_json_says_where(server):
    body = b'{"filter":{},\n "message":oops}'
    assert_error(server.post(PLAIN, body), 400, "line 2", "column 12")


# -- limits ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size, status", [(1, 200), (255, 200), (256, 200), (257, 400)])
def test_limit_of_a_dimension(server, size, status):
    for name in DIMENSIONS:
        assert server.post(OPEN, {"client": identity(**{name: "d" * size})}).status == status
        wide = "\u00e4" * (size // 2) + "d" * (size % 2)
        assert server.post(PLAIN, {"filter": {name: wide}, "message": "x"}).status == status


@pytest.mark.parametrize("entries, status", [(999, 200), (1000, 200), (1001, 400)])
def test_limit_of_the_exclude_list(server, entries, status):
    body = {"filter": {"exclude": [identity(str(i)) for i in range(entries)]}, "message": "x"}
    answer = server.post(PLAIN, body)
    assert answer.status == status
    if status == 400:
        assert_error(answer, 400, "exclude", "1000")


@pytest.mark.parametrize("depth, status", [(63, 200), (64, 200), (65, 400)])
def test_limit_of_json_depth(server, depth, status):
    body = b'{"filter":{},"message":"x","more":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"
    assert server.post(PLAIN, body).status == status


@pytest.mark.parametrize("values, status", [(65535, 200), (65536, 200), (65537, 400)])
def test_limit_of_json_values(server, values, status):
    known = {"filter": {"accountId": "nobody"}, "message": "x"}  # four values and the list itself
    answer = server.post(PLAIN, json.dumps({**known, "more": [1] * (values - 5)}).encode())
    assert answer.status == status
    if status == 400:
        assert_error(answer, 400, "json-values", "65536")


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size, status", [(KIB * KIB - 1, 200), (KIB * KIB, 200), (KIB * KIB + 1, 413)])
def test_limit_of_the_body(server, size, status, chunked):
    shell = json.dumps(to_nobody("")).encode()
    body = shell.replace(b'"message": ""', b'"message": "' + b"m" * (size - len(shell)) + b'"')
    assert len(body) == size
    options = ["-H", "Content-Type: application/json", "-H", "Expect:", "--data-binary", "@-"]
    if chunked:
        options += ["-H", "Transfer-Encoding: chunked"]
    answer = curl_with_input(server, options, body)
    assert answer.status == status
    if status == 413:
        assert_error(answer, 413, "pushca.limits.body-bytes")


def curl_with_input(server, options, data):
    url = f"http://{server.rest[0]}:{server.rest[1]}{PLAIN}"
    done = subprocess.run(["curl", "-s", "-i", "--max-time", "30", *options, url], input=data, capture_output=True, check=False)
    return parse_answer(done.stdout)[0]


def test_a_body_too_long_is_refused_before_it_has_come(server):
    head = b"POST /send-notification HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: 1048577\r\n\r\n"
    answers, _ = server.raw(head)
    assert_error(answers[0], 413, "pushca.limits.body-bytes", path=PLAIN)


@pytest.mark.parametrize("size, status", [(8000, 404), (8191, 404), (8192, 404), (8193, 414)])
def test_limit_of_the_request_line(server, size, status):
    line = b"GET /" + b"p" * (size - len(b"GET / HTTP/1.1")) + b" HTTP/1.1"
    assert len(line) == size
    answers, _ = server.raw(line + b"\r\nHost: t\r\nConnection: close\r\n\r\n")
    assert_error(answers[0], status)


@pytest.mark.parametrize("size, status", [(16383, 200), (16384, 200), (16385, 431)])
def test_limit_of_the_header_section(server, size, status):
    fields = b"Host: t\r\nConnection: close\r\nX-Pad: "
    fields += b"p" * (size - len(fields) - 2) + b"\r\n"
    assert len(fields) == size
    answers, _ = server.raw(b"GET /actuator/health HTTP/1.1\r\n" + fields + b"\r\n")
    assert answers[0].status == status


@pytest.mark.parametrize("count, status", [(99, 200), (100, 200), (101, 431)])
def test_limit_of_the_number_of_fields(server, count, status):
    fields = b"Host: t\r\nConnection: close\r\n" + b"X: y\r\n" * (count - 2)
    answers, _ = server.raw(b"GET /actuator/health HTTP/1.1\r\n" + fields + b"\r\n")
    assert answers[0].status == status


def test_limit_of_http_connections():
    with Server("pushca.limits.http-connections=3") as server:
        held = [socket.create_connection(server.rest, timeout=10) for _ in range(3)]
        try:
            # the ones before are only surely inside once they were answered
            for sock in held:
                sock.sendall(b"GET /actuator/health HTTP/1.1\r\nHost: t\r\n\r\n")
                assert b" 200 " in sock.recv(65536)
            answers, _ = server.raw(b"GET /actuator/health HTTP/1.1\r\nHost: t\r\n\r\n")
            assert answers[0].status == 503
            assert answers[0].headers["retry-after"] == "1"
            assert answers[0].headers["connection"] == "close"
        finally:
            for sock in held:
                sock.close()
        until = time.monotonic() + 10
        while server.get("/actuator/health").status != 200:
            assert time.monotonic() < until
            time.sleep(0.02)


def test_a_head_or_body_that_dawdles_is_408():
    with Server("pushca.limits.head-arrival-ms=300", "pushca.limits.body-arrival-ms=300") as server:
        answers, rest = server.raw(b"GET /actuator/health HTTP/1.1\r\nHost: t\r\n")
        assert_error(answers[0], 408, "pushca.limits.head-arrival-ms")
        assert rest == b""
        answers, rest = server.raw(json_post(PLAIN, b"{}")[:-1])
        assert_error(answers[0], 408, "pushca.limits.body-arrival-ms", path=PLAIN)
        assert rest == b""


# -- paths, methods, types ---------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [
    "/", "/nothing", "/send-notification/", "//send-notification", "/./send-notification", "/x/../send-notification",
    "/%2e%2e/send-notification", "/send%252Dnotification", "/send-notification%20", "/SEND-NOTIFICATION",
    "/swagger-ui/../actuator", "/swagger-ui/..%2factuator", "/swagger-ui/%2e%2e/%2e%2e/etc/passwd", "/actuator/",
    "/actuator/env", "/actuator/health/", "/actuator/health/other", "/actuator/metrics/none",
])
def test_there_is_nothing_at_other_paths(server, path):
    assert_error(server.curl(path), 404, path=path)


def test_a_path_is_percent_decoded_once(server):
    assert server.post("/send%2Dnotification", to_nobody()).status == 200
    assert server.curl("/actuator/%68ealth?query=is&not=looked+at").status == 200
    for path in ("/send%2", "/send%zznotification", "/%00"):
        assert_error(server.curl(path), 400, path=path)


@pytest.mark.parametrize("path", [OPEN, POOL, PLAIN, ACKED])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH"])
def test_another_method_is_405_with_allow(server, path, method):
    answer = server.request(method, path, b"" if method in ("PUT", "PATCH") else None)
    assert (answer.status, answer.headers["allow"]) == (405, "POST, OPTIONS")
    if method != "HEAD":
        assert_error(answer, 405, path=path)


def test_post_to_a_page_is_405_with_allow(server):
    answer = server.post("/actuator/health", {})
    assert_error(answer, 405)
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"


def test_a_method_nobody_knows_is_501(server):
    assert_error(server.request("BREW", PLAIN), 501)


def test_head_is_get_without_the_body(server):
    for path in ("/actuator/info", "/pushca", "/pushca.yaml", "/swagger-ui/index.html"):
        head, get = server.request("HEAD", path), server.get(path)
        assert (head.status, head.body) == (200, b"")
        assert head.headers["content-length"] == get.headers["content-length"]
        assert head.headers["content-type"] == get.headers["content-type"]


@pytest.mark.parametrize("wanted, status", [
    (None, 200), ("", 200), ("application/json", 200), ("application/json; charset=utf-8", 200), ("*/*", 200),
    ("text/html, application/*;q=0.5", 200), ("APPLICATION/JSON", 200), ("text/html,*/*;q=0.1", 200),
    ("text/html", 406), ("text/*", 406), ("application/jsonx", 406), ("application/json;q=0", 406),
    ("text/html;q=0.9, application/json;q=0.0", 406), ("*/*;q=0.000", 406),
])
def test_accept(server, wanted, status):
    headers = {} if wanted is None else {"Accept": wanted}
    answer = server.post(OPEN, {"client": identity()}, **headers)
    assert answer.status == status
    if status == 406:
        assert_error(answer, 406, "application/json", path=OPEN)
    assert server.request("GET", "/actuator/health", headers=headers).status == status


@pytest.mark.parametrize("brought, status", [
    ("application/json", 200), ("application/json; charset=UTF-8", 200), ('application/json;charset="utf-8"', 200),
    ("Application/JSON", 200), ("application/vnd.pushca+json", 200), ("application/json; odata=none", 200),
    (None, 415), ("", 415), ("text/plain", 415), ("application/x-www-form-urlencoded", 415), ("application/jsonx", 415),
    ("application/json; charset=iso-8859-1", 415), ("application/+json", 415), ("text/json", 415),
])
def test_content_type(server, brought, status):
    body = json.dumps({"client": identity()}).encode()
    headers = {} if brought is None else {"Content-Type": brought}
    answer = server.request("POST", OPEN, body, headers)
    assert answer.status == status
    if status == 415:
        assert_error(answer, 415, path=OPEN)


def test_a_compressed_body_is_415(server):
    answer = server.post(PLAIN, to_nobody(), **{"Content-Encoding": "gzip"})
    assert_error(answer, 415, "Content-Encoding")


def test_post_without_length_is_411(server):
    answers, _ = server.raw(b"POST /send-notification HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n\r\n")
    assert_error(answers[0], 411)


@pytest.mark.parametrize("method, path, status", [
    ("PUT", PLAIN, 405), ("PATCH", PLAIN, 405), ("POST", "/actuator/health", 405), ("POST", "/nothing", 404),
])
def test_a_length_is_asked_for_only_where_a_body_is_read(server, method, path, status):
    answers, _ = server.raw(f"{method} {path} HTTP/1.1\r\nHost: t\r\n\r\n".encode() * 2, answers=2)
    assert len(answers) == 2
    for answer in answers:
        assert_error(answer, status, path=path)


@pytest.mark.parametrize("request_line, status", [
    (b"GET / HTTP/2.0", 505), (b"GET / HTTP/1.1 x", 400), (b"GET  / HTTP/1.1", 400), (b"G@T / HTTP/1.1", 400), (b"GET /", 400),
    (b"GET / http/1.1", 400),
])
def test_a_malformed_request_line(server, request_line, status):
    answers, rest = server.raw(request_line + b"\r\nHost: t\r\n\r\n")
    assert_error(answers[0], status)
    assert answers[0].headers["connection"] == "close"
    assert rest == b""


def test_a_preflight_is_answered_for_every_path(server):
    asked = "content-type, x-requested-with"
    for path, methods in ((PLAIN, "POST, OPTIONS"), (OPEN, "POST, OPTIONS"), ("/actuator/health", "GET, HEAD, OPTIONS")):
        answer = server.request("OPTIONS", path, headers={
            "Origin": "http://page.example", "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": asked})
        assert (answer.status, answer.body) == (200, b"")
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["access-control-allow-methods"] == methods
        assert answer.headers["access-control-allow-headers"] == asked
        assert int(answer.headers["access-control-max-age"]) > 0
        assert answer.headers["allow"] == methods
    answer = server.request("OPTIONS", PLAIN, headers={"Access-Control-Request-Headers": "x; y=<z>"})
    assert answer.headers["access-control-allow-headers"] == "*"
    assert_error(server.request("OPTIONS", "/nothing"), 404)
    answers, _ = server.raw(b"OPTIONS * HTTP/1.1\r\nHost: t\r\n\r\n")
    assert answers[0].status == 200


# -- connections -------------------------------------------------------------------------------------------


def test_a_connection_is_kept_after_an_error_of_the_request(server):
    bad = json_post(PLAIN, b'{"filter":{}}')
    good = json_post(PLAIN, json.dumps(to_nobody()).encode())
    unknown = b"GET /nothing HTTP/1.1\r\nHost: t\r\n\r\n"
    answers, rest = server.raw(bad + good + unknown + good, 4)
    assert [answer.status for answer in answers] == [400, 200, 404, 200]
    assert rest == b""


def test_an_answer_to_wait_for_holds_back_those_behind_it():
    with Server("pushca.acknowledge-timeout.ms=300") as server:
        waits = json_post(ACKED, json.dumps({"client": identity("absent"), "message": "x"}).encode())
        at_once = b"GET /actuator/health HTTP/1.1\r\nHost: t\r\n\r\n"
        answers, _ = server.raw(waits + at_once + waits + at_once, 4)
        assert [answer.status for answer in answers] == [408, 200, 408, 200]


def test_any_split_of_a_request_gives_the_same_answer(server):
    data = json_post(PLAIN, json.dumps(to_nobody("\u00e4")).encode())
    with socket.create_connection(server.rest, timeout=10) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(len(data)):
            sock.sendall(data[i:i + 1])
        got = b""
        while not parse_answer(got):
            got += sock.recv(65536)
        assert parse_answer(got)[0].status == 200


# -- handshakes --------------------------------------------------------------------------------------------


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def make_token(secret=SECRET, algorithm="HS256", **more):
    now = int(time.time())
    claims = {**identity(), "iat": now, "exp": now + 60, "jti": "x", **more}
    text = ".".join(base64url(json.dumps(part).encode()) for part in ({"alg": algorithm, "typ": "JWT"}, claims))
    digest = {"HS512": hashlib.sha512, "HS384": hashlib.sha384}.get(algorithm, hashlib.sha256)
    signature = "" if algorithm == "none" else base64url(hmac.new(secret.encode(), text.encode(), digest).digest())
    return f"{text}.{signature}"


@pytest.fixture(scope="module", name="keyed")
def make_keyed_server():
    with Server(f"pushca.coordinator.secret-key={SECRET}", "pushca.pusher.allowed-origins=https://good.example") as server:
        yield server


def test_a_token_is_good_again_and_again(keyed):
    token = keyed.open().rsplit("/", 1)[1]
    for target in (f"/{token}", f"/{token}", f"/prefix/of/a/proxy/{token}", f"/%{ord(token[0]):02X}{token[1:]}"):
        answer = keyed.try_handshake(target)
        assert answer.status == 101
        assert answer.headers["upgrade"].lower() == "websocket"
        assert "sec-websocket-extensions" not in answer.headers
        assert "sec-websocket-protocol" not in answer.headers
    assert keyed.try_handshake("/" + make_token()).status == 101


def test_the_whole_refresh_answer_for_a_token_is_understood(keyed):
    token = keyed.open().rsplit("/", 1)[1]
    assert keyed.try_handshake(f"/%7B%22body%22:%22{token}%22%7D").status == 101
    for bad in ("%7B%7D", "%7B", "%7B%22body%22:5%7D", "%7B%22body%22:%22x%22%7D"):
        assert_error(keyed.try_handshake("/" + bad), 401)


def test_bad_tokens_are_401(keyed):
    good = make_token()
    head, claims, signature = good.split(".")
    other = base64url(json.dumps({**identity("other"), "iat": 0, "exp": 2**33}).encode())
    flipped = signature[:-2] + ("A" if signature[-2] != "A" else "B") + signature[-1]
    bad = ["", "x", "a.b.c", good + "x", good + ".", f"{head}.{other}.{signature}", f"{head}.{claims}.", f"{head}.{claims}",
           f"{head}.{claims}.{flipped}", make_token("another secret, which is long enough too"), make_token(algorithm="none"),
           make_token(algorithm="HS512"), make_token(algorithm="HS384"), make_token(exp=int(time.time()) - 5),
           make_token(deviceId=""), make_token(accountId=5), make_token(workSpaceId="w" * 257)]
    for token in bad:
        answer = keyed.try_handshake("/" + token)
        assert_error(answer, 401)
        assert answer.headers["connection"] == "close"
        assert "www-authenticate" in answer.headers
    assert keyed.try_handshake("/" + good).status == 101


def test_what_is_no_handshake_is_told_so(keyed):
    target = "/" + keyed.open().rsplit("/", 1)[1]
    for options in ({"version": "12"}, {"version": None}, {"Upgrade": None}, {"Upgrade": "h2c"}, {"Connection": "close"}):
        answer = keyed.try_handshake(target, **options)
        assert_error(answer, 426)
        assert answer.headers["upgrade"] == "websocket"
        assert answer.headers["sec-websocket-version"] == "13"
    for key in (None, "", "short", "AAAAAAAAAAAAAAAAAAAAAAA", "not base64 at all!!!!!!!"):
        assert_error(keyed.try_handshake(target, Sec_WebSocket_Key=key), 400)
    answer = keyed.try_handshake(target, method="POST", Content_Length="0")
    assert_error(answer, 405)
    assert answer.headers["allow"] == "GET"
    answers, _ = keyed.raw(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n", port=keyed.ws)
    assert_error(answers[0], 426, path="/")
    answers, _ = keyed.raw(b"nonsense\r\n\r\n", port=keyed.ws)
    assert_error(answers[0], 400)


def test_only_allowed_origins_come_in(keyed):
    target = "/" + keyed.open().rsplit("/", 1)[1]
    assert keyed.try_handshake(target, Origin="https://good.example").status == 101
    assert keyed.try_handshake(target).status == 101
    for origin in ("https://bad.example", "http://good.example", "null", "https://good.example.evil"):
        assert_error(keyed.try_handshake(target, Origin=origin), 403, "allowed-origins")


def test_a_handshake_that_dawdles_is_408():
    with Server("pushca.limits.handshake-ms=300") as server:
        answers, rest = server.raw(b"GET /x HTTP/1.1\r\nHost: t\r\n", port=server.ws)
        assert_error(answers[0], 408, "pushca.limits.handshake-ms")
        assert rest == b""


def sign_in_path(body):
    return "/sign-in/" + base64url(json.dumps(body).encode())


def test_sign_in_gives_one_message_and_closes_cleanly(keyed):
    async def run():
        url = f"ws://127.0.0.1:{keyed.ws[1]}" + sign_in_path({"client": identity("web"), "pusherInstanceId": None, "apiKey": None})
        async with websockets.connect(url) as socket_:
            opened = json.loads(await asyncio.wait_for(socket_.recv(), 10))
            with pytest.raises(websockets.ConnectionClosedOK):
                await asyncio.wait_for(socket_.recv(), 10)
            assert socket_.close_code == 1000
        async with websockets.connect(opened["browserAdvertisedUrl"]) as receiver:
            await asyncio.to_thread(keyed.post, PLAIN, {"filter": identity("web"), "message": "signed in"})
            assert await asyncio.wait_for(receiver.recv(), 10) == "signed in"
        assert set(opened) == {"pusherInstanceId", *URLS}

    asyncio.run(run())
    keyed.wait_for_metric("pushca_sockets", 0)


@pytest.mark.parametrize("target, word", [
    ("/sign-in/", "line 1"), ("/sign-in/!!", "base64"), ("/sign-in/A", "base64"), ("/sign-in/" + base64url(b"[]"), "object"),
    ("/sign-in/" + base64url(b'{"client":'), "line 1"), (sign_in_path({}), "client"),
    (sign_in_path({"client": identity(deviceId="")}), "deviceId"),
])
def test_a_sign_in_that_cannot_be_answered_is_refused(keyed, target, word):
    assert_error(keyed.try_handshake(target), 400, word)


# -- ending ------------------------------------------------------------------------------------------------


def test_sigterm_ends_with_a_close_1001_and_status_0():
    async def run(server):
        async with websockets.connect(server.open()) as client:
            stopping = asyncio.ensure_future(asyncio.to_thread(server.stop))
            with pytest.raises(websockets.ConnectionClosed):
                await asyncio.wait_for(client.recv(), 10)
            assert client.close_code == 1001
            assert await stopping == 0

    with Server() as server:
        asyncio.run(run(server))


@pytest.mark.parametrize("port", ["rest", "ws"])
def test_unfinished_bodies_count_against_the_memory_budget(port):
    """Many bodies on their way at once, none over its own limit: past the budget they end in 503, and all is well again."""
    head = b"POST /send-notification HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
    with Server("pushca.limits.memory-bytes=64MB") as server:
        socks = []
        try:
            for i in range(100):
                sock = socket.create_connection(getattr(server, port), timeout=30)
                socks.append(sock)
                form = b"Content-Length: 1048576\r\n\r\n" if i % 2 else b"Transfer-Encoding: chunked\r\n\r\nfffff\r\n"
                try:
                    sock.sendall(head + form + b"x" * 1000000)
                except ConnectionError:
                    pass
            refused, until = 0, time.monotonic() + 30
            while refused <= 10 and time.monotonic() < until:
                for sock in select.select(socks, [], [], 0.1)[0]:
                    try:
                        refused += sock.recv(12) == b"HTTP/1.1 503"
                    except ConnectionError:
                        pass
            assert refused > 10
            assert server.metrics()["pushca_memory_held_bytes"] < 80 * 1024 * 1024
        finally:
            for sock in socks:
                sock.close()
        server.wait_for_metric('pushca_connections{listener="rest"}', 1)
        server.wait_for_metric('pushca_connections{listener="websocket"}', 0)
        body = {"filter": identity(), "message": "x"}
        assert server.post("/send-notification", body).status == 200

"""The base specification, example by example, against the real server with independent clients."""

import asyncio
import contextlib
import json
import os
import pathlib
import re
import subprocess
import time

import pytest
import websockets

from pushca import Server
from wscat_tool import wscat_folder

pytestmark = pytest.mark.tsan

DATA = pathlib.Path(__file__).parent / "data"

CLIENT1 = {
    "workSpaceId": "workSpaceMain",
    "accountId": "client1@test.ee",
    "deviceId": "311aae05-bade-48bf-b390-47a93a66c89e",
    "applicationId": "MY_APPLICATION",
}
INTERNAL_ID = re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}-0$")


@pytest.fixture(scope="module")
def server():
    with Server("pushca.pusher.shards=2") as running:
        yield running


def post(server, path, body):
    """curl, so that the HTTP client is not ours. Returns status and body text."""
    done = subprocess.run(
        ["curl", "-s", "-w", "\n%{http_code}", f"http://{server.rest[0]}:{server.rest[1]}{path}",
         "-H", "Content-Type: application/json", "-d", json.dumps(body)],
        capture_output=True, text=True, timeout=30, check=True,
    )
    text, _, status = done.stdout.rpartition("\n")
    return int(status), text


async def post_async(server, path, body):
    return await asyncio.get_running_loop().run_in_executor(None, post, server, path, body)


@contextlib.asynccontextmanager
async def connected(server, who, member="client"):
    status, text = await post_async(server, "/open-connection", {member: who})
    assert status == 200, text
    async with websockets.connect(json.loads(text)["externalAdvertisedUrl"]) as socket:
        yield socket


async def next_text(socket, seconds=10):
    return await asyncio.wait_for(socket.recv(), seconds)


async def nothing_comes(socket, seconds=0.3):
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(socket.recv(), seconds)


def client(account, **overrides):
    who = dict(CLIENT1, accountId=account)
    who.update(overrides)
    return who


def test_open_connection_with_the_printed_body(server):
    """The printed example spells the member "Client"; the script and the OpenAPI file "client"."""

    async def run():
        async with connected(server, CLIENT1, "Client") as socket:
            await socket.send(json.dumps({"command": "PING"}))
            assert await next_text(socket) == "PONG"

    asyncio.run(run())


def test_the_connection_string_is_url_port_and_token(server):
    _, text = post(server, "/open-connection", {"client": CLIENT1})
    answer = json.loads(text)
    pattern = rf"^ws://[^/]+:{server.ws[1]}/[\w-]+\.[\w-]+\.[\w-]+$"
    assert re.match(pattern, answer["externalAdvertisedUrl"])
    assert re.match(pattern, answer["internalAdvertisedUrl"])


def test_simple_notification(server):
    async def run():
        async with connected(server, CLIENT1) as one, connected(server, client("other@test.ee")) as two:
            body = {
                "filter": {
                    "workSpaceId": "workSpaceMain",
                    "accountId": "client1@test.ee",
                    "deviceId": None,
                    "applicationId": "MY_APPLICATION",
                    "findAny": False,
                    "exclude": None,
                },
                "message": "Hello dear users!",
            }
            assert await post_async(server, "/send-notification", body) == (200, "")
            assert await next_text(one) == "Hello dear users!"
            await nothing_comes(two)

    asyncio.run(run())


def test_omitted_fields_make_it_multicast(server):
    async def run():
        async with connected(server, CLIENT1) as one, connected(server, client("other@test.ee")) as two:
            body = {"filter": {"workSpaceId": "workSpaceMain"}, "message": "to all of the workspace"}
            assert (await post_async(server, "/send-notification", body))[0] == 200
            assert await next_text(one) == await next_text(two) == "to all of the workspace"

    asyncio.run(run())


def test_exclude_over_the_socket(server):
    """The command example: everybody with the workspace and application but the sender."""

    async def run():
        sender = {
            "workSpaceId": "workSpaceAnyTest",
            "accountId": "client1@test.ee",
            "deviceId": "8ea6e257-3904-4b5e-8a3a-465e03c7a06c",
            "applicationId": "MLA_JAVA_HEADLESS",
        }
        async with connected(server, sender) as one, connected(
            server, dict(sender, accountId="client2@test.ee")
        ) as two:
            await one.send(json.dumps({
                "command": "SEND_MESSAGE",
                "metaData": {
                    "filter": {
                        "workSpaceId": "workSpaceAnyTest",
                        "applicationId": "MLA_JAVA_HEADLESS",
                        "findAny": False,
                        "exclude": [sender],
                    },
                    "message": "excludeSenderTest",
                },
            }))
            assert await next_text(two) == "excludeSenderTest"
            await nothing_comes(one)

    asyncio.run(run())


def test_find_any_takes_turns(server):
    async def run():
        async with connected(server, client("a", applicationId="ANY")) as one, connected(
            server, client("b", applicationId="ANY")
        ) as two:
            body = {"filter": {"applicationId": "ANY", "findAny": True}, "message": "work"}
            for _ in range(4):
                assert (await post_async(server, "/send-notification", body))[0] == 200
            for socket in (one, two):
                assert [await next_text(socket), await next_text(socket)] == ["work", "work"]
                await nothing_comes(socket)

    asyncio.run(run())


def test_rest_with_acknowledge(server):
    async def run():
        receiver = {
            "workSpaceId": "workSpaceMain",
            "accountId": "client1@test.ee",
            "deviceId": "8ea6e257-3904-4b5e-8a3a-465e03c7a06c",
            "applicationId": "JAVA_HEADLESS",
        }
        body = {"id": "messageId", "client": receiver, "message": "messageWithAcknowledgeTest"}
        async with connected(server, receiver) as socket:
            asked = asyncio.create_task(post_async(server, "/send-notification-with-acknowledge", body))
            message_id, text = (await next_text(socket)).split("@@")
            assert text == "messageWithAcknowledgeTest"
            assert INTERNAL_ID.match(message_id)
            await socket.send(json.dumps({"command": "ACKNOWLEDGE", "metaData": {"messageId": message_id}}))
            assert await asked == (200, "")

            began = time.monotonic()
            status, _ = await post_async(server, "/send-notification-with-acknowledge", body)
            assert status == 408
            assert time.monotonic() - began >= 0.99

    asyncio.run(run())


def test_acknowledge_over_the_socket(server):
    async def run():
        receiver = {
            "workSpaceId": "workSpaceAcknowledgeTest",
            "accountId": "client2@test.ee",
            "deviceId": "982f7268-06fb-4f48-8804-bac46abbaebd",
            "applicationId": "MLA_JAVA_HEADLESS",
        }
        async with connected(server, CLIENT1) as sender, connected(server, receiver) as socket:
            await sender.send(json.dumps({
                "command": "SEND_MESSAGE_WITH_ACKNOWLEDGE",
                "metaData": {
                    "client": receiver,
                    "id": "d3259cf4-e41c-4e83-b751-514f42b7e3e2",
                    "message": "WithAcknowledgeTest1",
                },
            }))
            message_id, text = (await next_text(socket)).split("@@")
            assert text == "WithAcknowledgeTest1"
            assert INTERNAL_ID.match(message_id)
            await nothing_comes(sender)
            await socket.send(json.dumps({"command": "ACKNOWLEDGE", "metaData": {"messageId": message_id}}))
            assert await next_text(sender) == "d3259cf4-e41c-4e83-b751-514f42b7e3e2@@ACKNOWLEDGE"
            await nothing_comes(socket)

    asyncio.run(run())


def test_the_wscat_script(server, tmp_path):
    folder = wscat_folder()
    if folder is None:
        pytest.skip("wscat is not here, and neither is npm to install it")
    script = tmp_path / "start-client.sh"
    script.write_text(
        (DATA / "start-client.sh").read_text().replace(
            "82.147.191.51:8050", f"{server.rest[0]}:{server.rest[1]}"
        )
    )
    environment = dict(os.environ, PATH=f"{folder}:{os.environ['PATH']}")
    wscat = subprocess.Popen(
        ["bash", str(script)], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, start_new_session=True,
    )
    try:
        who = {"accountId": CLIENT1["accountId"], "deviceId": CLIENT1["deviceId"]}
        server.wait_for_metric("pushca_sockets", 1)
        body = {"filter": who, "message": "Hello from curl"}
        assert post(server, "/send-notification", body)[0] == 200
        assert read_until(wscat.stdout, b"Hello from curl", 10)
    finally:
        os.killpg(wscat.pid, 15)
        wscat.wait()


def read_until(stream, text, seconds):
    os.set_blocking(stream.fileno(), False)
    seen, deadline = b"", time.monotonic() + seconds
    while text not in seen and time.monotonic() < deadline:
        seen += stream.read() or b""
        time.sleep(0.02)
    return text in seen

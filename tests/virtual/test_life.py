"""What makes the demo alive, one moment at a time."""

import asyncio
import io
import json
import random

import pytest
from PIL import Image

from fleet.virtual import cast, pictures
from fleet.virtual.fleet import Sim, VirtualFleet, read_phones
from fleet.virtual.life import Life
from fleet.virtual.phone import VirtualPhone
from tests.virtual.scripted_server import ScriptedServer, answer


@pytest.fixture
async def server():
    async with ScriptedServer() as server:
        yield server


@pytest.fixture
async def life(server):
    async with VirtualPhone("+447700900001", "secret", server.url, speed=1000) as phone:
        yield Life(phone, random.Random(1))


async def test_a_battery_runs_low_is_charged_and_unplugged_when_full(life, server):
    life.phone.battery, life.phone.power = 16, 0
    while "power_disconnected" not in [post["status"] for post in server.posted("device_status")]:
        await life.battery_moves()
    statuses = [post["status"] for post in server.posted("device_status")]
    assert statuses == ["battery_low", "power_connected", "battery_okay", "power_disconnected"]
    assert server.posted("device_status")[-1]["battery"] == "100"


async def test_somebody_sends_a_picture_with_smil_and_text(life, server):
    await life.somebody_sends_a_picture()
    body = server.requests[0].body
    assert b'"name":"part2","type":"image\\/' in body and b"application/smil" in body and b"cid:IMG_" in body


async def test_people_call_and_write_and_the_owner_writes_too(life, server):
    await life.somebody_writes()
    await life.somebody_calls()
    await life.owner_writes()
    assert [post["message_type"] for post in server.posted("incoming")] == ["sms", "call"]
    assert server.posted("forward_sent")[0]["to"].startswith("+1")


async def test_a_network_comes_back_after_it_dropped(life):
    for _ in range(4):
        before = life.phone.network
        await life.network_drops()
        assert life.phone.online and life.phone.network != before


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_pictures_are_real_and_follow_from_the_seed(format):
    picture = pictures.landscape(random.Random(3), format)
    assert Image.open(io.BytesIO(picture)).format == format
    assert picture == pictures.landscape(random.Random(3), format) != pictures.landscape(random.Random(4), format)


def test_numbers_and_labels_of_a_thousand_phones_are_all_different():
    assert len({cast.number(n) for n in range(1000)}) == len({cast.label(n) for n in range(1000)}) == 1000


@pytest.mark.parametrize(
    "text",
    [
        "number,password,label\n+4411,pw,Mast\n+4422,p2\n",
        '{"number":"+4411","password":"pw","label":"Mast"}\n\n{"number":"+4422","password":"p2"}\n',
    ],
    ids=["csv", "json"],
)
def test_phones_are_read_from_a_file(tmp_path, text):
    path = tmp_path / "phones"
    path.write_text(text)
    assert read_phones(path) == [Sim("+4411", "pw", "Mast"), Sim("+4422", "p2")]


def test_a_line_that_names_no_phone_is_refused_with_its_place(tmp_path):
    path = tmp_path / "phones"
    path.write_text("+4411,pw\nnonsense\n")
    with pytest.raises(ValueError, match="line 2"):
        read_phones(path)


async def test_a_fleet_polls_sends_and_sums_up_what_was_on_the_air(server):
    message = {"id": "m1", "to": "+12025550123", "message": "hello"}
    server.usual = answer(json.dumps({"events": [{"event": "send", "messages": [message]}]}))
    sims = [Sim(cast.number(n), "pw", cast.label(n)) for n in range(3)]
    fleet = VirtualFleet(sims, server.url, speed=50, calm=True, app=30)
    await until_cancelled(fleet, lambda: len(fleet.on_air) == 3)
    assert fleet.summary()[0].startswith("3 SMS on the air, 2 of them again;")
    assert {number for number, _ in fleet.on_air} == {sim.number for sim in sims}


async def test_silent_phones_are_heard_and_then_no_more(server):
    fleet = VirtualFleet([Sim("+4411", "pw")], server.url, speed=100, silent=1)
    await until_cancelled(fleet, lambda: not fleet.phones[0].online)
    assert server.posted("outgoing")


async def until_cancelled(fleet, happened):
    running = asyncio.create_task(fleet.run())
    await fleet.phones[0].until(happened)
    running.cancel()
    await asyncio.wait({running})

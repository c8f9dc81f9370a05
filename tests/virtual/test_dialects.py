"""What the gateway writes is what phones of every version read."""

import pytest

from fleet.gateway import wire
from fleet.gateway.events import Cancel, Log, OutMessage, Send, Settings
from fleet.virtual.phone import VirtualPhone
from tests.virtual.scripted_server import ScriptedServer, answer

NASTY = ("a < b & \"c\" 'd' ]]> <!-- x -->", "😀 👨‍👩‍👧 &nbsp; &#128512;", "  two\nlines\t ", "Привет 你好 مرحبا €")


def said(version, *events):
    content_type, body = wire.answer(version, events)
    return answer(body, content_type=content_type.decode())


@pytest.mark.parametrize("version", [13, 17, 18, 30])
async def test_every_text_reaches_the_air_as_it_was_written(version):
    messages = tuple(OutMessage(id=f"m{n}", to="+12025550123", text=text, priority=0) for n, text in enumerate(NASTY))
    async with ScriptedServer() as server, VirtualPhone("1", "pw", server.url, version=version, speed=1000) as phone:
        server.usual = said(version)
        server.script = [said(version, Send(messages))]
        assert (await phone.poll()).ok
        await phone.rest()
        assert sorted(sms.text for sms in phone.radio.air) == sorted(NASTY)
        assert not phone.complaints


async def test_recalls_settings_and_log_events_are_understood():
    async with ScriptedServer() as server, VirtualPhone("1", "pw", server.url, speed=1) as phone:
        phone.radio.plan("lost", "lost")
        messages = tuple(OutMessage(id=id, to="+12025550123", text="hello", priority=0) for id in "abc")
        change = {"settings_version": 3, "outgoing_interval": 60}
        server.script = [said(30, Send(messages)), said(30, Cancel("c"), Log("noted"), Settings(change))]
        await phone.poll()
        await phone.poll()
        await phone.until(lambda: server.posted("send_status"))
        assert server.posted("send_status")[0]["status"] == "cancelled"
        assert phone.settings.outgoing_interval == 60 and phone.settings.settings_version == 3
        assert not phone.complaints


async def test_the_words_of_a_refusal_reach_the_log_of_every_version():
    for version in (17, 30):
        async with ScriptedServer() as server, VirtualPhone("1", "pw", server.url, version=version) as phone:
            content_type, body = wire.error(version, "Wrong <password> & number")
            server.script = [answer(body, 403, content_type.decode())]
            await phone.poll()
            await phone.poll()
            assert "Wrong <password> & number\n" in server.requests[1].fields["log"]

"""The command that plays many phones, as a user runs it."""

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path

from tests.virtual.scripted_server import ScriptedServer, answer

MANAGE = Path(__file__).parents[2] / "manage.py"


async def test_it_plays_the_phones_of_a_file_until_ctrl_c_and_tells_what_was_sent(tmp_path):
    message = {"id": "m1", "to": "+12025550123", "message": "hello"}
    (tmp_path / "phones").write_text("+4411,secret,Mast\n+4422,secret,Gate\n")
    options = ["--phones-file", "phones", "--speed", "20", "--calm", "--app", "30", "--air", "air"]
    async with ScriptedServer() as server:
        server.usual = answer(json.dumps({"events": [{"event": "send", "messages": [message]}]}))
        process = await asyncio.create_subprocess_exec(
            sys.executable, MANAGE, "simulate", *options, "--server", server.url,
            cwd=tmp_path, env=os.environ | {"FLEET_DATA_DIR": str(tmp_path)}, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        async with asyncio.timeout(30):
            while len({post["phone_number"] for post in server.posted("send_status")}) < 2:
                await asyncio.sleep(0.02)
        interrupted = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, _ = await process.communicate()
    assert time.monotonic() - interrupted < 3 and process.returncode == 0
    assert b"Mast" in out and b"2 SMS on the air, 1 of them again" in out
    air = [json.loads(line) for line in (tmp_path / "air").read_text().splitlines()]
    assert {sms["phone"] for sms in air} == {"+4411", "+4422"} and {sms["text"] for sms in air} == {"hello"}

"""Drives wrk over signed requests that are made beforehand, every one of them distinct."""

import base64
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import psutil

CONNECTIONS = 32
USER_AGENT = "EnvayaSMS/3.0.1 (Android; SDK 10; HTC; Wildfire S A510e)"


@dataclass(frozen=True)
class Run:
    """What wrk saw: ``answered`` requests, all with 200, in ``seconds``; latencies in ms."""

    answered: int
    seconds: float
    p50: float
    p99: float

    def __add__(self, other):
        return Run(
            self.answered + other.answered,
            self.seconds + other.seconds,
            max(self.p50, other.p50),
            max(self.p99, other.p99),
        )

    @property
    def rate(self):
        return self.answered / self.seconds


def sign(server_url, fields, password):
    """X-Request-Signature as the EnvayaSMS server API has it."""
    listed = "".join(f",{name}={fields[name]}" for name in sorted(fields))
    return base64.b64encode(hashlib.sha1(f"{server_url}{listed},{password}".encode()).digest()).decode()


def signed_request(server_url, fields, password):
    """The bytes of one request, as the app writes them."""
    url, body = urlsplit(server_url), urlencode(fields).encode()
    head = (
        f"POST {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\nUser-Agent: {USER_AGENT}\r\n"
        f"X-Request-Signature: {sign(server_url, fields, password)}\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def load(url, requests, seconds, pid):
    """Send them over 32 connections until the time is over, or until they are used up; a Run.

    ``pid`` is the server's process: what it costs it in CPU goes to stderr, steadier than rates on a busy machine.
    RuntimeError when an answer was not 200, or a connection broke.
    """
    if not shutil.which("wrk"):
        raise RuntimeError("wrk is missing: apt-get install wrk")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "requests"
        file.write_bytes(b"".join(b"%d\n%s" % (len(request), request) for request in requests))
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "20s", "-s"]
        script = Path(__file__).with_name("replay.lua")
        before = sum(psutil.Process(pid).cpu_times()[:2])
        done = subprocess.run([*command, script, url, "--", file], capture_output=True, text=True, check=True)
    told = dict(re.findall(r"(\w+)=(\d+)", done.stderr))
    if int(told["refused"]) or int(told["broken"]):
        raise RuntimeError(f"Not every request was answered 200: {done.stderr}{done.stdout}")
    cost = (sum(psutil.Process(pid).cpu_times()[:2]) - before) * 1000 / int(told["requests"])
    print(f"{done.stderr.strip()} server: {cost:.2f} ms CPU a request", file=sys.stderr)
    if int(told["requests"]) >= len(requests):
        print("(those were all: the rate is too low, for the time ran on)", file=sys.stderr)
    return Run(int(told["requests"]), int(told["microseconds"]) / 1e6, int(told["p50"]) / 1000, int(told["p99"]) / 1000)

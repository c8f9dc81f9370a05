"""What `make run` and `make demo` start: the server and, with --phones N, that many virtual phones.

Make itself dies of Ctrl-C. So on a terminal the server gets a process group of its own, in the foreground,
and Ctrl-C reaches it alone; signals sent to this process are passed on. The exit code is the server's.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

MANAGE = [sys.executable, str(Path(__file__).resolve().parent.parent / "manage.py")]
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--phones", type=int, default=0, help="virtual phones to start beside the server")
    phones = parser.parse_args().phones
    server = subprocess.Popen([*MANAGE, "up"], process_group=0)
    fleet = None
    for stop in STOPS:
        signal.signal(stop, lambda number, _: server.send_signal(signal.SIGINT))
    with foreground(server.pid):
        if phones and answers(server):
            fleet = subprocess.Popen(
                [*MANAGE, "simulate", "--phones", str(phones), "--server", f"{local_url()}/gateway/"], process_group=0
            )
        code = server.wait()
    if fleet:
        fleet.terminate()
        try:
            fleet.wait(5)
        except subprocess.TimeoutExpired:
            fleet.kill()
    return code


@contextmanager
def foreground(group):
    """Let the terminal, if this process is in its foreground, send its signals to ``group`` meanwhile."""
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    try:
        terminal = os.open("/dev/tty", os.O_RDWR)
    except OSError:
        terminal = None
    if terminal is None or os.tcgetpgrp(terminal) != os.getpgrp():
        yield
        return
    os.tcsetpgrp(terminal, group)
    try:
        yield
    finally:
        os.tcsetpgrp(terminal, os.getpgrp())


def local_url():
    host = os.environ.get("HOST", "127.0.0.1")
    return f"http://{'127.0.0.1' if host in ('0.0.0.0', '::') else host}:{os.environ.get('PORT', '8000')}"


def answers(server):
    """Whether the server came up, rather than ended."""
    while server.poll() is None:
        try:
            with urllib.request.urlopen(f"{local_url()}/healthz", timeout=2):
                return True
        except OSError:
            time.sleep(0.2)
    return False


if __name__ == "__main__":
    sys.exit(main())

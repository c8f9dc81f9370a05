"""Requests that arrive together share one transaction: durable before the answer, many phones to a commit.

One batch runs at a time, in a thread of its own; what arrives meanwhile is the next one.
"""

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor

from django.db import InterfaceError, OperationalError, close_old_connections, connection

from fleet.gateway.handlers import handle

log = logging.getLogger(__name__)

LARGEST = 64
# Under load a batch's answers bring the next requests a moment later: waiting for them, in seconds, doubled the
# size of batches and gave a quarter more requests a second. A request that finds no batch running never waits.
GATHER = 0.002
# Seconds before each further try at a batch, when the database says deadlock or is gone for a moment. Worth some
# waiting: a phone says only once what became of a message.
PAUSES = (0.1, 0.5, 2)


class Batches:
    """Collects jobs and runs ``handle`` over them; ``await batches.run(job)`` gives that job's answer."""

    def __init__(self, handle=handle):
        self._handle = handle
        self._thread = ThreadPoolExecutor(1, "gateway")
        self._waiting = []
        self._running = None

    @property
    def idle(self):
        return self._running is None

    def run(self, job):
        """A future of the job's answer; an exception of it fails this job alone."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((job, future))
        if self._running is None:
            self._running = asyncio.ensure_future(self._drain())
        return future

    async def _drain(self):
        loop = asyncio.get_running_loop()
        try:
            gather = False
            while self._waiting:
                if gather:
                    await asyncio.sleep(GATHER)
                batch, self._waiting = self._waiting[:LARGEST], self._waiting[LARGEST:]
                try:
                    answers = await loop.run_in_executor(self._thread, self._process, [job for job, _ in batch])
                except Exception as error:
                    log.exception("A batch of phones' requests failed")
                    answers = [error] * len(batch)
                gather = True
                for (_, future), answer in zip(batch, answers, strict=True):
                    if future.done():
                        continue
                    if isinstance(answer, Exception):
                        future.set_exception(answer)
                    else:
                        future.set_result(answer)
        finally:
            self._running = None

    def _process(self, jobs):
        close_old_connections()
        for pause in (*PAUSES, None):
            try:
                return self._handle(jobs)
            except (OperationalError, InterfaceError) as error:
                connection.close()
                if pause is None:
                    return self._each(jobs, error)
                time.sleep(pause)
            except Exception as error:
                return self._each(jobs, error)

    def _each(self, jobs, error):
        """Each job by itself, so that one phone cannot fail another."""
        if len(jobs) == 1:
            log.error("A phone's request failed", exc_info=error)
            return [error]
        answers = []
        for job in jobs:
            try:
                answers += self._handle([job])
            except Exception as alone:
                if isinstance(alone, OperationalError | InterfaceError):
                    connection.close()
                log.error("A phone's request failed", exc_info=alone)
                answers.append(alone)
        return answers

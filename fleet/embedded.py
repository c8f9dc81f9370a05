"""Celery's worker and beat as threads of the server's process, for the mode with one process."""

import logging
import threading

from celery.beat import EmbeddedService, Scheduler

from fleet.celery import app

log = logging.getLogger(__name__)


class EmbeddedCelery:
    """``start()`` and ``stop()``; ``alive`` says whether both still work."""

    def __init__(self, concurrency=2):
        self._worker = app.WorkController(
            app=app,
            pool="threads",
            concurrency=concurrency,
            without_heartbeat=True,
            without_mingle=True,
            without_gossip=True,
        )
        self._worker_thread = threading.Thread(target=self._work, name="celery-worker", daemon=True)
        self._beat = EmbeddedService(app, max_interval=1, thread=True, scheduler_cls=Scheduler)
        self._beat.daemon = True

    def start(self):
        self._worker_thread.start()
        self._beat.start()

    def _work(self):
        try:
            self._worker.start()
        except BaseException:
            log.exception("The Celery worker ended")

    @property
    def alive(self):
        return self._worker_thread.is_alive() and self._beat.is_alive()

    def stop(self):
        """End both, if they were started; what they were doing is a row in a state, and is done again."""
        if self._worker_thread.ident is None:
            return
        self._beat.stop()
        self._worker.stop()
        self._worker_thread.join(2)

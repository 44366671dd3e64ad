"""rlwhf reconcile: put right what was lost, for as long as it runs."""

import logging
import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import DatabaseError, close_old_connections

from jobs.alerting.lookout import look_out
from jobs.child import watch_parent
from jobs.chores import do_chores
from jobs.reconciler import Reconciler, reconcile
from jobs.storage.keeper import keeper_for_this_machine

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "Requeue jobs whose worker died, send lost messages again, look after alerts and counts; any number may run"
    # `rlwhf up` checks the settings, and `rlwhf check` everything, for which it imports every page.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--every", type=float, default=2.0, help="seconds between two looks (default: 2)")
        parser.add_argument("--once", action="store_true", help="look once and end")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["once"]:
            self.stdout.write(str(reconcile()))
            return
        ended = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: ended.set())
        watch_parent()
        # httpx, which only whoever sends needs
        from jobs.alerting.sending import send_due  # noqa: PLC0415 (weight)

        # A thread of its own: a server that does not answer must not keep lost jobs from being queued again.
        alerts = threading.Thread(target=look_out, args=(ended, send_due), name="alerts", daemon=True)
        alerts.start()
        # Another, because some of it takes the database minutes.
        threading.Thread(target=do_chores, args=(ended,), name="chores", daemon=True).start()
        keeper = keeper_for_this_machine()
        reconciler = Reconciler()
        logger.info("looking every %g s", options["every"])
        while not ended.wait(options["every"]):
            try:
                close_old_connections()
                reconciler.look()
            except DatabaseError:
                logger.exception("the database did not answer; trying again")
        if keeper is not None:
            keeper.stop()
        alerts.join(5)

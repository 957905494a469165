"""The worker as a process: composed, and ended by a signal."""

from __future__ import annotations

import asyncio
import signal
from random import Random

from mangaassist.bootstrap.clock import RandomIds, SystemClock
from mangaassist.bootstrap.observability import open_worker_services, worker_status_file
from mangaassist.bootstrap.settings import Settings, load_settings
from mangaassist.jobs.worker import Worker


async def run_worker(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    async with open_worker_services(settings, clock=SystemClock(), ids=RandomIds()) as services:
        worker = Worker(services, status_file=worker_status_file(settings), random=Random())
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, worker.stop)
        await worker.run()


if __name__ == "__main__":
    asyncio.run(run_worker(load_settings()))

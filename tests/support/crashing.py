"""The product's three processes on one data directory, under load, each to be killed at any moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import httpx

from tests.support.mlflow_server import MlflowServer
from tests.support.product import RunningProduct, free_port, running_product

Process = Literal["api", "worker", "mlflow"]
QUESTIONS = ("What is your return policy?", "hello there", "Where is my order?", "something like Berserk")
PATIENCE_S = 300.0
QUESTIONS_AHEAD = 12


@dataclass(slots=True)
class Promises:
    """What askers were told: answers by response id with their trace id, and feedback that was taken."""

    answers: dict[str, str] = field(default_factory=dict)
    disliked: set[str] = field(default_factory=set)


class Installation:
    """Server, worker and MLflow; `kill` ends one with SIGKILL and starts it again."""

    def __init__(self, folder: Path) -> None:
        self.data_dir = folder / "data"
        self.data_dir.mkdir()
        (folder / "mlflow").mkdir()
        self.mlflow = MlflowServer(folder / "mlflow")
        self._port = free_port()
        self._stack = ExitStack()
        self._worker: subprocess.Popen[bytes] | None = None
        self.product: RunningProduct | None = None

    def start(self) -> None:
        self.mlflow.start()
        self._start_server()
        self._start_worker()

    def kill(self, process: Process) -> None:
        if process == "mlflow":
            self.mlflow.kill()
            self.mlflow.start()
        elif process == "worker":
            assert self._worker is not None
            self._worker.kill()
            self._worker.wait(10)
            self._start_worker()
        else:
            assert self.product is not None
            os.killpg(self.product.process.pid, signal.SIGKILL)
            self.product.process.wait(10)
            self._stack.close()
            self._start_server()

    def stop(self) -> None:
        self._stack.close()
        if self._worker is not None:
            self._worker.terminate()
            self._worker.wait(30)
        self.mlflow.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def _start_server(self) -> None:
        # nothing is sampled away: what is promised is that every trace arrives
        environment = {"MANGAASSIST_ENV": "staging", "MANGAASSIST_MLFLOW_URL": self.mlflow.url}
        running = running_product(self.data_dir, environment=environment, port=self._port)
        self.product = self._stack.enter_context(running)

    def _start_worker(self) -> None:
        settings = {
            "MANGAASSIST_DATA_DIR": str(self.data_dir),
            "MANGAASSIST_MLFLOW_URL": self.mlflow.url,
        }
        with (self.data_dir / "worker.log").open("ab") as log:
            self._worker = subprocess.Popen(
                [sys.executable, "-m", "mangaassist.jobs.worker_process"],
                env={**os.environ, **settings},
                stdout=log,
                stderr=log,
            )


class Askers:
    """Threads that ask and rate; what fails is asked anew, what was answered is remembered.

    They have some questions more than anybody waits for, so that a process is always killed at work.
    """

    def __init__(self, url: str, *, count: int) -> None:
        self._url = url
        self._stopping = threading.Event()
        self._changed = threading.Condition()
        self._questions = threading.Semaphore(QUESTIONS_AHEAD)
        self.promises = Promises()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def wait_for_more(self, count: int) -> None:
        """Return when so many more answers have been given."""
        self._questions.release(count)
        with self._changed:
            target = len(self.promises.answers) + count
            assert self._changed.wait_for(lambda: len(self.promises.answers) >= target, PATIENCE_S)

    def stop(self) -> Promises:
        self._stopping.set()
        self._questions.release(len(self._threads))
        for thread in self._threads:
            thread.join(PATIENCE_S)
        return self.promises

    def _ask(self) -> None:
        with httpx.Client(base_url=self._url, timeout=10, trust_env=False) as client:
            number = 0
            while not self._stopping.is_set():
                number += 1
                self._questions.acquire()
                try:
                    self._once(client, QUESTIONS[number % len(QUESTIONS)], rates=number % 3 == 0)
                except httpx.HTTPError:
                    # the server is down for the moment: the question is still to be asked
                    self._questions.release()
                    time.sleep(0.05)

    def _once(self, client: httpx.Client, question: str, *, rates: bool) -> None:
        answered = client.post("/v1/chat", json={"message": question})
        if answered.status_code != 200:
            self._questions.release()
            return
        answer = answered.json()
        with self._changed:
            self.promises.answers[answer["response_id"]] = answer["trace_id"]
            self._changed.notify_all()
        if rates:
            body = {
                "response_id": answer["response_id"],
                "trace_id": answer["trace_id"],
                "feedback": "thumbs_down",
            }
            if client.post("/v1/feedback", json=body).status_code in (200, 202):
                with self._changed:
                    self.promises.disliked.add(answer["response_id"])

"""Logs: one JSON object a line on stdout, without personal data."""

from __future__ import annotations

import logging
import sys
from functools import cached_property

import orjson

from mangaassist.serving.guardrails.redaction import Redactor

STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "taskName"}


class JsonLines(logging.Formatter):
    """Formats a record with its extra fields; every value is redacted, and dropped when that fails."""

    def __init__(self, redactor: Redactor | None = None) -> None:
        super().__init__()
        self._given = redactor

    def format(self, record: logging.LogRecord) -> str:
        """Return one line of JSON."""
        redact = self._redactor.redact
        document = {
            "at": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage(), "log"),
            **{
                name: redact(str(value), "log", field=name)
                for name, value in record.__dict__.items()
                if name not in STANDARD
            },
        }
        if record.exc_info:
            document["exception"] = redact(self.formatException(record.exc_info), "log")
        return orjson.dumps(document).decode()

    @cached_property
    def _redactor(self) -> Redactor:
        # built at the first line: most commands never log one
        return self._given or Redactor()


def log_to_stdout(level: int = logging.INFO, *, redactor: Redactor | None = None) -> None:
    """Send every record of our loggers to stdout."""
    import time

    handler = logging.StreamHandler(sys.stdout)
    formatter = JsonLines(redactor)
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logger = logging.getLogger("mangaassist")
    logger.handlers = [handler]
    logger.setLevel(level)
    logger.propagate = False

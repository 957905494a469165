"""Logs: one JSON object a line on stdout."""

from __future__ import annotations

import logging
import sys

import orjson

STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "taskName"}


class JsonLines(logging.Formatter):
    """Formats a record with its extra fields, which must be free of personal data."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line of JSON."""
        document = {
            "at": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **{name: str(value) for name, value in record.__dict__.items() if name not in STANDARD},
        }
        if record.exc_info:
            document["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(document).decode()


def log_to_stdout(level: int = logging.INFO) -> None:
    """Send every record of our loggers to stdout."""
    import time

    handler = logging.StreamHandler(sys.stdout)
    formatter = JsonLines()
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logger = logging.getLogger("mangaassist")
    logger.handlers = [handler]
    logger.setLevel(level)
    logger.propagate = False

"""Every error the product raises on purpose, ordered by what the caller can do about it.

MangaAssistError
├── InvalidRequestError      fix the input
├── NotFoundError            ask for something that exists (also: not yours to see)
├── ConflictError            someone was first; read again and retry
├── PermissionDeniedError    sign in, or ask as the owner
├── RateLimitedError         wait `retry_after_s`
├── GateError                the answer is no, with the evidence
├── DependencyError          something outside failed
│   ├── DependencyThrottledError    slow down, then retry
│   ├── DependencyTimeoutError      it did not answer in time
│   ├── DependencyUnavailableError  it is down or cut the connection
│   └── DependencyRejectedError     it refused this very call; retrying is useless
├── DamagedContentError      what was kept is not what was stored; nothing can bring it back
└── ConfigurationError       fix the configuration; start-up and reload only
"""

from __future__ import annotations


class MangaAssistError(Exception):
    """Root of all errors that are raised on purpose."""


class InvalidRequestError(MangaAssistError):
    """The input cannot be accepted; `field` names the offending part where there is one."""

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class NotFoundError(MangaAssistError):
    """The thing does not exist, or is not visible to this caller."""


class ConflictError(MangaAssistError):
    """Someone else changed it first."""


class PermissionDeniedError(MangaAssistError):
    """The caller's identity is missing, invalid or not allowed."""


class RateLimitedError(MangaAssistError):
    """Too many requests; try again after `retry_after_s` seconds."""

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class GateError(MangaAssistError):
    """A gate said no."""


class DependencyError(MangaAssistError):
    """Something outside the process failed."""


class DependencyThrottledError(DependencyError):
    """The dependency asked for fewer calls."""


class DependencyTimeoutError(DependencyError):
    """The dependency did not answer in time."""


class DependencyUnavailableError(DependencyError):
    """The dependency is down, or cut the connection."""


class DependencyRejectedError(DependencyError):
    """The dependency refused this call; the same call will be refused again."""


class DamagedContentError(MangaAssistError):
    """Stored bytes are not those that were stored: damaged, or changed by someone."""


class ConfigurationError(MangaAssistError):
    """The configuration cannot be used; the message says what to change."""

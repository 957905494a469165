"""A refusal for being too busy that also says when to come back."""

from __future__ import annotations

from mangaassist.domain.errors import DependencyThrottledError


class RetryAfterError(DependencyThrottledError):
    """The dependency asked for fewer calls, and for none within `retry_after_s` seconds."""

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


def throttled(message: str, *, retry_after_s: float | None) -> DependencyThrottledError:
    """Build the throttling error that says as much as the dependency did."""
    if retry_after_s is None:
        return DependencyThrottledError(message)
    return RetryAfterError(message, retry_after_s=retry_after_s)

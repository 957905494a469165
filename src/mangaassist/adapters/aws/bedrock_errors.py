"""Everything that botocore, aiohttp and the wire can raise, as errors of our tree."""

from __future__ import annotations

import asyncio
import re
from typing import Final

from mangaassist.domain.errors import (
    ConfigurationError,
    DependencyError,
    DependencyRejectedError,
    DependencyTimeoutError,
    DependencyUnavailableError,
)
from mangaassist.domain.throttling import throttled

try:
    import aiohttp
    from botocore.eventstream import ParserError
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        ConnectTimeoutError,
        CredentialRetrievalError,
        HTTPClientError,
        ReadTimeoutError,
    )
    from botocore.exceptions import ConnectionError as BotoConnectionError
    from urllib3.exceptions import HTTPError as Urllib3Error
except ImportError as error:
    raise ConfigurationError("`aiobotocore` is not installed; install the `aws` extra") from error

# A cut connection is neither ClientError nor BotoCoreError: aiohttp's and urllib3's own errors
# come through, and damaged frames raise ParserError, which is a bare Exception.
DRIVER_ERRORS: Final = (
    ClientError,
    BotoCoreError,
    ParserError,
    aiohttp.ClientError,
    Urllib3Error,
    asyncio.IncompleteReadError,
    OSError,
)

# The BotoCoreErrors that another attempt may survive; all others are about the call itself.
_TRANSIENT: Final = (HTTPClientError, BotoConnectionError, CredentialRetrievalError)

_THROTTLED: Final = frozenset(
    {"throttlingexception", "toomanyrequestsexception", "servicequotaexceededexception", "slowdown"}
)
_TIMED_OUT: Final = frozenset({"modeltimeoutexception", "requesttimeout", "requesttimeoutexception"})
_UNAVAILABLE: Final = frozenset(
    {
        "internalserverexception",
        "serviceunavailableexception",
        "modelstreamerrorexception",
        "modelerrorexception",
        "modelnotreadyexception",
    }
)
_REJECTED: Final = frozenset(
    {"validationexception", "accessdeniedexception", "resourcenotfoundexception", "conflictexception"}
)
_LONGEST_DETAIL: Final = 200


def error_in_tree(error: BaseException, *, in_stream: bool, service: str = "Bedrock") -> DependencyError:
    """Return the error of our tree that says the same as the driver's about a service.

    Inside a stream the code is lower-case first (`throttlingException`) and no modelled class is
    raised, so codes are compared without case.
    """
    where = "inside the stream" if in_stream else "before the stream"
    if isinstance(error, ClientError):
        return _service_error(error, where, service)
    if isinstance(error, ConnectTimeoutError | ReadTimeoutError | TimeoutError):
        return DependencyTimeoutError(f"{service} did not answer in time {where}: {_detail(error)}")
    if isinstance(error, BotoCoreError) and not isinstance(error, _TRANSIENT):
        # Missing credentials, an unknown region, parameters that fail the service model.
        return DependencyRejectedError(f"the AWS client refused the call: {_detail(error)}")
    return DependencyUnavailableError(
        f"the connection to {service} failed {where}: {type(error).__name__}: {_detail(error)}"
    )


def _service_error(error: ClientError, where: str, service: str) -> DependencyError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    metadata = error.response.get("ResponseMetadata", {})
    status = metadata.get("HTTPStatusCode") or 0
    message = f"{service} answered {code!r} {where}: {_detail(error)}"
    known = code.lower()
    if known in _THROTTLED or (known not in _REJECTED and status == 429):
        hint = re.fullmatch(r"\d+(\.\d+)?", metadata.get("HTTPHeaders", {}).get("retry-after", ""))
        return throttled(message, retry_after_s=float(hint.group()) if hint else None)
    if known in _TIMED_OUT or status in (408, 504):
        return DependencyTimeoutError(message)
    if known in _REJECTED or (known not in _UNAVAILABLE and 400 <= status < 500):
        return DependencyRejectedError(message)
    return DependencyUnavailableError(message)


def _detail(error: BaseException) -> str:
    text = str(error)
    return text if len(text) <= _LONGEST_DETAIL else text[:_LONGEST_DETAIL] + "…"

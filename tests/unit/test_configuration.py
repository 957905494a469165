"""The watched configuration: overrides merge, a broken file keeps the last good one and says so."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from mangaassist.adapters.embedded.configuration import WatchedFileConfiguration
from mangaassist.domain.errors import ConfigurationError
from mangaassist.ports.configuration import ConfigurationDocument
from mangaassist.serving.runtime_configuration import compose_bundle, parse_runtime_configuration

PACK = Path(__file__).parents[2] / "stores" / "jp-manga" / "config.yaml"


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    defaults = tmp_path / "defaults.yaml"
    defaults.write_text("release: one\nbudget: {limit_tokens: 10, reduced_below_ratio: 0.5}\n")
    return defaults, tmp_path / "config.yaml"


def opened(files: tuple[Path, Path]) -> WatchedFileConfiguration:
    return WatchedFileConfiguration(defaults=files[0], override=files[1])


def write(path: Path, text: str) -> None:
    """Write with a modification time that differs whatever the file system's resolution."""
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(text)
    os.utime(path, ns=(before + 10**9, before + 10**9))


def test_an_override_changes_only_what_it_names(files: tuple[Path, Path]) -> None:
    files[1].write_text("budget: {limit_tokens: 20}\n")
    content = opened(files).current().content
    assert content == {"release": "one", "budget": {"limit_tokens": 20, "reduced_below_ratio": 0.5}}


def test_a_change_is_taken_up_and_told_to_the_listeners(files: tuple[Path, Path]) -> None:
    configuration = opened(files)
    heard: list[ConfigurationDocument] = []
    configuration.subscribe(heard.append)
    write(files[1], "release: two\n")
    configuration.poll()
    assert configuration.current().content["release"] == "two"
    assert [document.content["release"] for document in heard] == ["two"]


@pytest.mark.parametrize("broken", ["release: [", "- a list\n", "release: !!python/object:os.system x\n"])
def test_a_broken_change_keeps_the_last_good_one_and_says_so(files: tuple[Path, Path], broken: str) -> None:
    configuration = opened(files)
    write(files[1], "release: two\n")
    configuration.poll()
    write(files[1], broken)
    configuration.poll()
    document = configuration.current()
    assert document.content["release"] == "two"
    assert document.problem is not None
    assert "config.yaml" in document.problem


def test_a_change_that_a_listener_refuses_is_not_taken_up(files: tuple[Path, Path]) -> None:
    configuration = opened(files)

    def refuse(document: ConfigurationDocument) -> None:
        raise ConfigurationError("routes.faq: missing")

    configuration.subscribe(refuse)
    write(files[1], "release: two\n")
    configuration.poll()
    assert configuration.current().content["release"] == "one"
    assert configuration.current().problem == "routes.faq: missing"


def test_mending_the_file_clears_the_problem(files: tuple[Path, Path]) -> None:
    configuration = opened(files)
    write(files[1], "release: [")
    configuration.poll()
    write(files[1], "release: three\n")
    configuration.poll()
    assert configuration.current().problem is None
    assert configuration.current().content["release"] == "three"


def test_a_restart_with_a_broken_file_starts_with_the_last_good_one(files: tuple[Path, Path]) -> None:
    configuration = opened(files)
    write(files[1], "release: two\n")
    configuration.poll()
    write(files[1], "release: [")
    restarted = opened(files).current()
    assert restarted.content["release"] == "two"
    assert restarted.problem is not None


def test_a_broken_file_on_the_very_first_start_leaves_the_defaults(files: tuple[Path, Path]) -> None:
    files[1].write_text("release: [")
    document = opened(files).current()
    assert document.content["release"] == "one"
    assert document.problem is not None


def pack() -> dict[str, object]:
    content: dict[str, object] = yaml.safe_load(PACK.read_text())
    return content


def test_the_shipped_configuration_is_valid() -> None:
    assert parse_runtime_configuration(pack()).release


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("routes", "faq", "model"), "nobody", r"routes\.faq\.model"),
        (("routes", "faq", "handler"), "magic", r"routes\.faq\.handler"),
        (("budget", "limit_tokens"), -1, r"budget\.limit_tokens"),
        (("surprise",), 1, "surprise"),
    ],
)
def test_a_wrong_value_is_named_by_its_path(path: tuple[str, ...], value: object, named: str) -> None:
    content = pack()
    place: dict[str, object] = content
    for key in path[:-1]:
        inner = place[key]
        assert isinstance(inner, dict)
        place = inner
    place[path[-1]] = value
    with pytest.raises(ConfigurationError, match=named):
        parse_runtime_configuration(content)


def test_a_missing_route_is_named() -> None:
    content = pack()
    routes = content["routes"]
    assert isinstance(routes, dict)
    del routes["chitchat"]
    with pytest.raises(ConfigurationError, match=r"routes\.chitchat: missing"):
        parse_runtime_configuration(content)


def test_the_bundle_version_is_the_hash_of_everything_it_pins() -> None:
    def version(**changes: str) -> str:
        components = {
            "intent_classifier_version": "c1",
            "embedding_version": "e1",
            "reranker_version": "r1",
            "retriever_policy_version": "p1",
            "knowledge_version": "k1",
            "guardrail_ruleset_version": "g1",
            "template_version": "t1",
        }
        configuration = parse_runtime_configuration(pack())
        return compose_bundle(configuration, name="jp-manga", **{**components, **changes}).version

    assert version() == version()
    names = (
        "intent_classifier_version",
        "embedding_version",
        "knowledge_version",
        "guardrail_ruleset_version",
    )
    assert len({version(), *(version(**{name: "other"}) for name in names)}) == 5

"""What every store of the experiment plan promises."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mangaassist.adapters.embedded.experiment_plans import FileExperimentPlanStore
from mangaassist.domain.errors import ConfigurationError, ConflictError
from mangaassist.ports.experiments import ExperimentPlanStore
from tests.support.memory_stores import InMemoryExperimentPlanStore

Opened = Callable[[], ExperimentPlanStore]


@pytest.fixture(params=["memory", "file"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Opened:
    """Return a function that opens the same plan again."""
    if request.param == "memory":
        store = InMemoryExperimentPlanStore()
        return lambda: store
    return lambda: FileExperimentPlanStore(tmp_path / "var" / "experiments.yaml")


def plan(note: str) -> dict[str, object]:
    return {"experiments": {"tone": {"hypothesis": note, "arms": {"control": {"buckets": [[0, 5000]]}}}}}


def test_there_is_an_empty_plan_before_the_first(opened: Opened) -> None:
    assert opened().read().content == {}


def test_what_is_stored_is_read_by_everyone(opened: Opened) -> None:
    stored = opened().replace(plan("gentler — やさしい"), expected_version=opened().read().version)

    assert opened().read() == stored
    assert stored.content == plan("gentler — やさしい")


def test_a_change_of_an_outdated_plan_is_refused(opened: Opened) -> None:
    outdated = opened().read().version
    opened().replace(plan("first"), expected_version=outdated)

    with pytest.raises(ConflictError, match="changed meanwhile"):
        opened().replace(plan("second"), expected_version=outdated)

    assert opened().read().content == plan("first")


def test_of_many_writers_at_once_one_wins(opened: Opened) -> None:
    version = opened().read().version

    def attempt(number: int) -> bool:
        try:
            opened().replace(plan(f"writer {number}"), expected_version=version)
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(attempt, range(24)))

    assert won.count(True) == 1
    assert opened().read().content == plan(f"writer {won.index(True)}")


@pytest.mark.parametrize("text", ["- a list\n", "unclosed: [1\n"])
def test_a_file_that_is_no_plan_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "experiments.yaml").write_text(text)

    with pytest.raises(ConfigurationError, match=r"experiments\.yaml"):
        FileExperimentPlanStore(tmp_path / "experiments.yaml").read()

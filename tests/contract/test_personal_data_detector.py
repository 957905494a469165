"""What every `PersonalDataDetector` promises, and what only Comprehend does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiobotocore.session import AioSession

from mangaassist.adapters.aws.comprehend import ComprehendDetector
from mangaassist.adapters.presidio.detector import PresidioDetector, offline_analyzer
from mangaassist.bootstrap.guardrails import load_ruleset
from mangaassist.domain.errors import (
    ConfigurationError,
    DependencyError,
    DependencyRejectedError,
    DependencyThrottledError,
    DependencyUnavailableError,
)
from mangaassist.ports.personal_data import PersonalDataDetector
from mangaassist.serving.guardrails.context import GuardrailContext
from mangaassist.serving.guardrails.personal_data.finder import PersonalDataFinder
from mangaassist.serving.guardrails.personal_data.local_detector import LocalDetector
from mangaassist.serving.guardrails.ruleset import StagePolicy
from mangaassist.serving.guardrails.stages.pii_detection import PiiDetectionStage
from tests.support.fake_comprehend import FakeComprehend
from tests.support.wire_server import Fault

TEXT = "naïve — 漫画: write to mia@example.com or call 415-555-2671 on Friday"
FINDER = PersonalDataFinder()


@pytest.fixture
def endpoint() -> Iterator[FakeComprehend]:
    with FakeComprehend() as running:
        yield running


def comprehend(endpoint: FakeComprehend) -> ComprehendDetector:
    session = AioSession()
    session.set_credentials("AKIDEXAMPLE", "secret")
    return ComprehendDetector(region="us-east-1", endpoint_url=endpoint.url, session=session)


@pytest.fixture(params=["local", "comprehend", "presidio"])
async def detector(
    request: pytest.FixtureRequest, endpoint: FakeComprehend
) -> AsyncIterator[PersonalDataDetector]:
    if request.param == "local":
        yield LocalDetector(FINDER)
    elif request.param == "comprehend":
        opened = comprehend(endpoint)
        yield opened
        await opened.close()
    else:
        try:
            yield PresidioDetector(offline_analyzer())
        except ConfigurationError as error:
            pytest.skip(str(error))


async def test_spans_come_in_order_with_offsets_of_the_text_and_our_kinds(
    detector: PersonalDataDetector,
) -> None:
    found = [span for span in await detector.detect(TEXT) if span.kind in ("email", "phone")]
    assert [(span.kind, TEXT[span.start : span.end]) for span in found] == [
        ("email", "mia@example.com"),
        ("phone", "415-555-2671"),
    ]


async def test_a_text_without_personal_data_gives_nothing(detector: PersonalDataDetector) -> None:
    assert [span for span in await detector.detect("is it in stock?") if span.kind != "date"] == []
    assert list(await detector.detect("")) == []


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault(status=400, error_type="ThrottlingException"), DependencyThrottledError),
        (Fault(status=500, error_type="InternalServerException"), DependencyUnavailableError),
        (Fault(status=400, error_type="UnsupportedLanguageException"), DependencyRejectedError),
    ],
)
async def test_comprehend_errors_are_ours(
    endpoint: FakeComprehend, fault: Fault, kind: type[DependencyError]
) -> None:
    endpoint.plan.reset(always=fault)
    detector = comprehend(endpoint)
    with pytest.raises(kind, match="Comprehend"):
        await detector.detect(TEXT)
    assert len(endpoint.calls) == 1
    await detector.close()


async def test_comprehend_leaves_out_what_it_is_unsure_of(endpoint: FakeComprehend) -> None:
    endpoint.score = 0.2
    detector = comprehend(endpoint)
    assert await detector.detect(TEXT) == ()
    await detector.close()


async def test_comprehend_refuses_a_text_over_its_limit_without_a_call(endpoint: FakeComprehend) -> None:
    with pytest.raises(DependencyRejectedError):
        await comprehend(endpoint).detect("漫" * 40_000)
    assert endpoint.calls == []


async def test_the_stores_ids_win_over_what_comprehend_finds(endpoint: FakeComprehend) -> None:
    detector = comprehend(endpoint)
    stage = PiiDetectionStage(FINDER.fixed_forms, detector=detector)
    policy = StagePolicy()
    text = "order 114-5550101-2000001 of my name is Mia Weber, mia@example.com, call 415-555-2671"
    finding = await stage.check(text, GuardrailContext(), policy)
    assert [text[span.start : span.end] for span in finding.spans] == ["mia@example.com", "415-555-2671"]
    assert stage.waits
    await detector.close()


def test_the_shipped_ruleset_fails_closed_when_the_detector_does() -> None:
    ruleset = load_ruleset(Path(__file__).parents[2] / "stores" / "jp-manga" / "guardrails" / "ruleset.yaml")
    assert ruleset.stages["pii_detection"].failure_policy == "closed"

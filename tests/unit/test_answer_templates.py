"""Answer templates: checked at load, sandboxed, worded by a stable choice."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any, get_args

import pytest

from mangaassist.adapters.embedded.template_files import load
from mangaassist.domain.answer_templates import AnswerTemplate, TemplateCase
from mangaassist.domain.errors import ConfigurationError
from mangaassist.domain.intents import Intent
from mangaassist.domain.store import OrderState
from mangaassist.serving.sample_facts import sample_facts
from mangaassist.serving.templates import TemplateLibrary
from tests.support.composer_facts import STORE, facts, order, pack


@pytest.fixture(scope="module")
def shipped() -> TemplateLibrary:
    return TemplateLibrary.from_mapping(load(STORE / "templates"))


def _library(*bodies: str, **fields: Any) -> TemplateLibrary:
    template = AnswerTemplate(
        name="sample",
        version="1.0",
        author="a",
        date=date(2026, 11, 21),
        description="d",
        cases=(TemplateCase(bodies=bodies),),
        **fields,
    )
    return TemplateLibrary.from_mapping({"sample": template})


def test_every_name_that_the_pipeline_uses_is_there(shipped: TemplateLibrary) -> None:
    modelled = ("recommendation", "product_question", "faq", "promotion", "checkout_help", "return_request")
    names = ["order_tracking", "chitchat", "escalation", "out_of_scope", "blocked_input", "budget_exhausted"]
    names += ["fallback", *(f"fallback_{intent}" for intent in modelled)]
    names += ["sign_in_needed", "service_unavailable", "rate_limited", "return_request"]

    assert [name for name in names if name not in shipped] == []
    assert shipped.version_of("chitchat") == "template/chitchat-1.0"


def test_every_order_state_has_its_own_words(shipped: TemplateLibrary) -> None:
    states = {one.state for one in pack().orders.records}

    texts = {
        shipped.render("order_tracking", sample)
        for sample in sample_facts(Intent.ORDER_TRACKING)
        if len(sample.orders) == 1 and sample.orders[0].items
    }

    assert states == set(get_args(OrderState))
    assert len(texts) == len(states)


def test_a_shipped_order_is_told_with_carrier_number_and_date(shipped: TemplateLibrary) -> None:
    asked = facts(
        Intent.ORDER_TRACKING, "where is it", signed_in=True, orders=(order("114-5550729-2134624"),)
    )

    text = shipped.render("order_tracking", asked)

    assert "Frieren: Beyond Journey's End, volumes 10, 11 and 12" in text
    assert "USPS has it under tracking number 9400 1118 9956 3946 1992 21" in text
    assert "November 27" in text


def test_small_talk_hears_what_was_said(shipped: TemplateLibrary) -> None:
    assert "program" in shipped.render("chitchat", facts(Intent.CHITCHAT, "Are you a bot??"))
    assert "Hello" not in shipped.render("chitchat", facts(Intent.CHITCHAT, "thx, bye"))


def test_contact_details_are_those_of_the_articles(shipped: TemplateLibrary) -> None:
    text = shipped.render("escalation", facts(Intent.ESCALATION, "human please"))

    contact = next(one for one in pack().articles.records if one.article_id == "contact-support")
    assert "help@jpmanga.example" in contact.body
    assert "help@jpmanga.example" in text
    assert (
        "Monday to Friday from 7 a.m. to 7 p.m. and Saturday from 8 a.m. to 2 p.m. Pacific time"
        in contact.body
    )
    assert "Monday to Friday from 7 a.m. to 7 p.m. and Saturday from 8 a.m. to 2 p.m. Pacific time" in text


@pytest.mark.parametrize(
    "body",
    ["{{ nobody }}", "{{ facts.reading.nothing }}", "{% if %}", "{{ ''.__class__.__mro__ }}", "{{ '' }}"],
)
def test_a_wording_that_cannot_render_stops_the_load(body: str) -> None:
    with pytest.raises(ConfigurationError, match="sample"):
        _library("fine", body)


def test_the_wording_is_stable_and_differs_between_questions() -> None:
    library = _library("one", "two", "three")

    texts = {library.render("sample", facts(Intent.CHITCHAT, f"hello {number}")) for number in range(20)}

    assert texts == {"one", "two", "three"}
    assert library.render("sample") == library.render("sample")


def test_what_a_customer_wrote_is_never_a_template() -> None:
    library = _library("You said {{ facts.reading.text if facts else '-' }}.")

    assert library.render("sample", facts(Intent.CHITCHAT, "{{ 7 * 7 }}")) == "You said {{ 7 * 7 }}."


def test_the_version_follows_the_content() -> None:
    assert _library("one").version != _library("two").version
    assert _library("one").version == _library("one").version


def test_an_unknown_template_is_named() -> None:
    with pytest.raises(ConfigurationError, match="'nothing'"):
        _library("one").render("nothing")


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("version: 1.0\n", "version"),
        ("version: '1'\nauthor: a\ndate: soon\ndescription: d\nbodies: [x]\n", "date"),
        ("version: '1'\nauthor: a\ndate: 2026-01-01\ndescription: d\n", "cases"),
        ("version: '1'\nauthor: a\ndate: 2026-01-01\ndescription: d\nbodies: x\n", "bodies"),
        ("version: '1'\nauthor: a\ndate: 2026-01-01\ndescription: d\nbodies: [x]\nmood: y\n", "mood"),
        ("[1]", "mapping"),
        ("a: [", "cannot be read"),
    ],
)
def test_a_broken_file_is_named_with_its_field(tmp_path: Path, content: str, named: str) -> None:
    (tmp_path / "sorry.yaml").write_text(content)

    with pytest.raises(ConfigurationError, match=rf"templates/sorry\.yaml.*{named}"):
        load(tmp_path)

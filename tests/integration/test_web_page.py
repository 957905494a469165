"""The chat page in a real browser: by keyboard, on a phone, when the line is cut."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from tests.support.web import DEFAULT_TOKENS, WebWorld, served

CHROMIUM = Path("/usr/bin/chromium")
ANSWER = "".join(DEFAULT_TOKENS)

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        if os.environ.get("MANGAASSIST_TEST_BROWSER"):
            pytest.fail(f"MANGAASSIST_TEST_BROWSER is set, but there is no {CHROMIUM}")
        pytest.skip(f"there is no {CHROMIUM}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def world() -> WebWorld:
    return WebWorld()


@pytest.fixture
def page(world: WebWorld, browser: Browser) -> Iterator[Page]:
    """The page, opened; fails when it breaks its own content security policy or throws."""
    with served(world) as address:
        context = browser.new_context(base_url=f"http://{address}", viewport={"width": 1100, "height": 800})
        page = context.new_page()
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda line: faults.append(line.text) if "Security Policy" in line.text else None)
        page.goto("/")
        expect(page.get_by_label("Who is asking")).to_be_visible()
        yield page
        context.close()
    assert faults == []


def ask(page: Page, question: str) -> None:
    page.get_by_label("Your message").fill(question)
    page.keyboard.press("Enter")


def test_a_question_gets_its_text_cards_and_sources(page: Page) -> None:
    ask(page, "Something like Berserk, but gentler")
    expect(page.locator(".text")).to_have_text(ANSWER)
    cards = page.locator(".card")
    expect(cards).to_have_count(3)
    expect(cards.nth(0)).to_contain_text("$19.99")
    expect(cards.nth(0)).to_contain_text("In stock")
    expect(cards.nth(1)).to_contain_text("Price not known")
    expect(cards.nth(2)).to_contain_text("Stock not known")
    expect(page.get_by_text("Returns within 30 days")).to_be_visible()
    expect(page.locator("#announcer")).to_have_text(ANSWER)
    expect(page.get_by_label("Your message")).to_be_focused()


def test_the_text_streams(world: WebWorld, page: Page) -> None:
    ask(page, "wait")
    expect(page.locator(".text")).to_have_text(DEFAULT_TOKENS[0].strip())
    expect(page.locator(".text")).to_have_attribute("aria-busy", "true")
    page.keyboard.press("Escape")
    expect(page.locator(".text")).to_contain_text("(stopped)")
    assert world.answers.cancelled.wait(5)


def test_a_replacement_takes_the_place_of_the_text(page: Page) -> None:
    ask(page, "replace")
    expect(page.locator(".text")).to_have_text("I would rather not say that.")


def test_a_thumb_down_asks_why_and_is_stored(world: WebWorld, page: Page) -> None:
    ask(page, "hello")
    page.get_by_role("button", name="Not helpful").click()
    page.get_by_text("Not my taste").click()
    page.get_by_label("Anything else?").fill("I have read this one")
    page.get_by_role("button", name="Send feedback").click()
    expect(page.get_by_text("Thank you!")).to_be_visible()
    expect(page.get_by_role("button", name="Not helpful")).to_have_attribute("aria-pressed", "true")
    assert 'feedback="thumbs_down"} 1.0' in world.services.metrics.exposition().decode()


def test_everything_can_be_done_by_keyboard(page: Page) -> None:
    ask(page, "hello")
    expect(page.locator(".answer footer")).to_be_visible()
    page.get_by_role("button", name="Helpful", exact=True).focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Space")
    for _ in range(2):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Thank you!")).to_be_visible()


def test_shift_and_enter_start_a_line(page: Page) -> None:
    page.get_by_label("Your message").fill("one")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("two")
    expect(page.get_by_label("Your message")).to_have_value("one\ntwo")
    expect(page.locator(".turn")).to_have_count(0)


def test_what_the_customer_writes_is_never_markup(page: Page) -> None:
    ask(page, "<img src=x onerror=alert(1)><b>bold</b>")
    expect(page.locator(".words")).to_have_text("<img src=x onerror=alert(1)><b>bold</b>")
    expect(page.locator(".turn img")).to_have_count(0)


def test_an_error_is_told_kindly_and_can_be_tried_again(world: WebWorld, page: Page) -> None:
    ask(page, "fail first")
    expect(page.get_by_text("Sorry, that did not work.").first).to_be_visible()
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("button", name="Try again")).to_be_visible()
    assert len(world.answers.asked) == 2


def test_a_cut_connection_is_tried_once_more(page: Page) -> None:
    cut: list[bool] = []

    def cut_once(route: Route) -> None:
        if cut:
            route.continue_()
        else:
            cut.append(True)
            route.fulfill(
                body='event: token\ndata: {"text":"If you"}\n\n',
                headers={"content-type": "text/event-stream"},
            )

    page.route("**/v1/chat", cut_once)
    ask(page, "hello")
    expect(page.locator(".text")).to_have_text(ANSWER)
    expect(page.locator(".turn")).to_have_count(1)


def test_signing_in_as_a_demo_customer_starts_afresh_and_survives_a_reload(
    world: WebWorld, page: Page
) -> None:
    ask(page, "hello")
    expect(page.locator(".turn")).to_have_count(1)
    with page.expect_response("**/v1/demo/login"):
        page.get_by_label("Who is asking").select_option(label="Demo: Mika Sato · Club")
    expect(page.locator(".turn")).to_have_count(0)
    page.reload()
    expect(page.get_by_label("Who is asking")).to_have_value("C-1001")
    ask(page, "where is my order?")
    expect(page.locator(".text")).to_have_text(ANSWER)
    assert world.answers.asked[-1].identity.customer_id == "C-1001"


def test_the_trace_of_an_answer_opens_for_its_owner(page: Page) -> None:
    ask(page, "hello")
    with page.expect_popup() as popup:
        page.get_by_role("link", name="How was this made?").click()
    expect(popup.value.get_by_role("heading", level=1)).to_have_text("How this answer was made")
    popup.value.get_by_text("bedrock_generate").click()
    expect(popup.value.locator("details[open]")).to_contain_text("recommendation")


def test_a_phone_shows_everything_without_scrolling_sideways(page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    ask(page, "a-word-without-any-place-to-break-" * 6)
    expect(page.locator(".card")).to_have_count(3)
    page.get_by_role("button", name="Not helpful").click()
    for selector in ("html", "#conversation"):
        sizes = page.locator(selector).evaluate("node => [node.scrollWidth, node.clientWidth]")
        assert sizes[0] <= sizes[1], selector
    box = page.get_by_role("button", name="Not helpful").bounding_box()
    assert box is not None
    assert min(box["width"], box["height"]) >= 44

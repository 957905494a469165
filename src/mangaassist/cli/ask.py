"""`mangaassist ask`: one question, answered in this process by the same pipeline as the server's."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command(
        help="Ask one question and print the answer.",
        epilog=(
            "Examples:  mangaassist ask 'something like Berserk but gentler'   ·   "
            "mangaassist ask 'where is my order' --customer cust-aiko   ·   "
            "mangaassist ask 'any cheaper?' --session s1 --json"
        ),
    )(ask)


def ask(
    text: Annotated[str, typer.Argument(help="The question.")],
    session: Annotated[str | None, typer.Option(help="Go on with this session.")] = None,
    customer: Annotated[str | None, typer.Option(help="Ask as this customer.")] = None,
    bundle: Annotated[str | None, typer.Option(help="Answer with this release bundle.")] = None,
    asin: Annotated[str | None, typer.Option(help="The product page the question is asked on.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
) -> None:
    """Ask one question and print the answer."""
    from mangaassist.bootstrap.asking import AskedQuestion, ask_once
    from mangaassist.bootstrap.settings import load_settings

    question = AskedQuestion(text=text, session_id=session, customer_id=customer, bundle=bundle, asin=asin)
    if as_json:
        answered = asyncio.run(ask_once(load_settings(), question))
        print(json.dumps(answered.document(), ensure_ascii=False, indent=2))
        return
    answered = asyncio.run(ask_once(load_settings(), question, on_text=_write, on_replace=_replace))
    print()
    answer = answered.answer
    for card in answer.products:
        price = "price not known" if card.price_usd is None else f"${card.price_usd:.2f}"
        print(f"  · {card.title} ({card.format}, {price}) {card.product_id}")
    for source in answer.sources:
        print(f"  · from: {source.title}")
    print(
        f"  {answer.intent.value} ({answer.confidence:.2f}) · {answer.route} · {answer.latency_ms:.0f} ms · "
        f"session {answer.session_id} · trace {answer.trace_id}",
        file=sys.stderr,
    )


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _replace(text: str) -> None:
    sys.stdout.write(f"\n\n{text}")

"""Facts as delimited blocks of data; whatever was written by others cannot close its block."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import fields

from markupsafe import Markup

from mangaassist.domain.catalog import Product
from mangaassist.domain.dialogue import Constraints
from mangaassist.domain.grounding import AnswerFacts, Passage, SeriesFacts
from mangaassist.domain.store import Customer, Order, Promotion
from mangaassist.domain.wording import money

# control characters, zero-width and direction marks have no business inside a data block
_INVISIBLE = r"\x00-\x08\x0b-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\ud800-\udfff"
_REMOVED = re.compile(f"[{_INVISIBLE}]")
_UNSAFE = re.compile(f'[&<>"\n{_INVISIBLE}]')


def escaped(text: str) -> str:
    """Return a text in which no delimiter can begin or end."""
    if not _UNSAFE.search(text):
        return text
    plain = _REMOVED.sub("", text)
    return plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def attribute(value: object) -> str:
    """Return a value fit for an attribute."""
    text = str(value)
    if not _UNSAFE.search(text):
        return text
    return escaped(text).replace('"', "&quot;").replace("\n", " ")


def customer_message(text: str) -> Markup:
    """Return what the customer wrote, delimited."""
    return Markup(f"<customer_message>\n{escaped(text)}\n</customer_message>")


def passages(items: Iterable[Passage]) -> Markup:
    """Return the retrieved articles and offers."""
    return Markup(
        "\n".join(
            _element("passage", {"id": item.ref, "kind": item.kind, "title": item.title}, item.text)
            for item in items
        )
    )


def series(items: Iterable[SeriesFacts], *, role: str) -> Markup:
    """Return series with their offers; an absent attribute means that nobody knows."""
    return Markup("\n".join(_series(item, role) for item in items))


def orders(items: Iterable[Order]) -> Markup:
    """Return the customer's orders."""
    return Markup("\n".join(_order(order) for order in items))


def promotions(items: Iterable[Promotion], *, state: str) -> Markup:
    """Return offers; `state` is `current` or `expired`."""
    return Markup(
        "\n".join(
            _element(
                "promotion",
                {
                    "title": item.title,
                    "state": state,
                    "code": item.code,
                    "starts": item.starts_at.date(),
                    "ends_before": item.ends_at.date() if item.ends_at else None,
                    "min_order": None if item.min_order_usd is None else money(item.min_order_usd),
                    "members_only": "yes" if item.members_only else None,
                },
                item.body,
            )
            for item in items
        )
    )


def customer(profile: Customer | None, *, signed_in: bool) -> Markup:
    """Return what an answer may use of the customer's profile."""
    if profile is None:
        return Markup(f'<customer signed_in="{"yes" if signed_in else "no"}"/>')
    return Markup(
        _element(
            "customer",
            {
                "signed_in": "yes",
                "first_name": profile.name.split(" ", 1)[0],
                "member": "yes" if profile.member else "no",
                "points": profile.points if profile.member else None,
            },
        )
    )


def wishes(constraints: Constraints) -> Markup:
    """Return the constraints that are set."""
    given = {
        name: ", ".join(map(str, value)) if isinstance(value, tuple) else value
        for name in (field.name for field in fields(constraints))
        if (value := getattr(constraints, name)) not in (None, ())
    }
    return Markup(_element("wishes", given)) if given else Markup("")


def notes(facts: AnswerFacts) -> Markup:
    """Return what the shop found out while gathering the facts."""
    lines = []
    if facts.relaxed:
        lines.append(f"Nothing matched every wish; set aside: {', '.join(facts.relaxed)}.")
    if facts.reading.unknown_title is not None:
        lines.append(f"Not in the catalogue: {facts.reading.unknown_title}.")
    if facts.reading.order_ids and not facts.orders:
        lines.append(f"No such order in this account: {', '.join(facts.reading.order_ids)}.")
    if facts.service_errors:
        lines.append(f"Could not be reached just now: {', '.join(facts.service_errors)}.")
    if facts.reading.resolved_text != facts.reading.text:
        lines.append(f"In this conversation the message means: {facts.reading.resolved_text}")
    body = "\n".join(escaped(line) for line in lines)
    return Markup(f"<notes>\n{body}\n</notes>") if body else Markup("")


def _series(item: SeriesFacts, role: str) -> str:
    entry = item.series
    head = _open(
        "series",
        {
            "role": role,
            "title": entry.title,
            "authors": ", ".join(entry.authors) or None,
            "demographic": entry.demographic,
            "genres": ", ".join(entry.genres) or None,
            "themes": ", ".join(entry.themes) or None,
            "moods": ", ".join(entry.moods) or None,
            "first_year": entry.first_year,
            "status": entry.status,
            "volumes": entry.volumes,
            "stocked_volumes": entry.stocked_volumes,
            "age_rating": entry.age_rating,
            "anime": None if entry.anime is None else "yes" if entry.anime else "no",
            "editions": "; ".join(edition.name for edition in entry.editions) or None,
        },
    )
    lines = [head]
    if entry.description:
        lines.append(escaped(entry.description))
    lines += [f"<reason>{escaped(reason)}</reason>" for reason in item.reasons]
    lines += [_product(product) for product in item.products]
    lines.append("</series>")
    return "\n".join(lines)


def _product(product: Product) -> str:
    available = product.in_stock
    return _element(
        "product",
        {
            "id": product.product_id,
            "title": product.title,
            "kind": product.kind,
            "format": product.format,
            "language": product.language,
            "volume": product.volume,
            "price": None if product.price_usd is None else money(product.price_usd),
            "stock": product.stock,
            "in_stock": None if available is None else "yes" if available else "no",
            "on_sale": product.release_date,
        },
    )


def _order(order: Order) -> str:
    items = "\n".join(
        _element("item", {"title": item.title, "quantity": item.quantity, "price": money(item.price_usd)})
        for item in order.items
    )
    head = _open(
        "order",
        {
            "id": order.order_id,
            "state": order.state,
            "placed": order.placed_at.date(),
            "total": money(order.total_usd),
            "delivery": money(order.shipping_usd),
            "carrier": order.carrier,
            "tracking": order.tracking_number,
            "estimated_delivery": order.estimated_delivery,
            "delivered": order.delivered_at.date() if order.delivered_at else None,
            "return_reason": order.return_reason,
            "refund": None if order.refund_usd is None else money(order.refund_usd),
            "note": order.status_note,
        },
    )
    return "\n".join(part for part in (head, items, "</order>") if part)


def _open(name: str, attributes: dict[str, object]) -> str:
    given = {key: str(value) for key, value in attributes.items() if value is not None}
    if _UNSAFE.search("".join(given.values())):
        given = {key: attribute(value) for key, value in given.items()}
    listed = "".join([f' {key}="{value}"' for key, value in given.items()])
    return f"<{name}{listed}>"


def _element(name: str, attributes: dict[str, object], body: str | None = None) -> str:
    head = _open(name, attributes)
    return f"{head[:-1]}/>" if body is None else f"{head}\n{escaped(body)}\n</{name}>"

"""Numbers of a book shop that look like telephone, card and social security numbers, made with a seed."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from mangaassist.domain.product_ids import isbn10_check_digit


def look_alikes(count: int, *, seed: int) -> Iterator[str]:
    """Yield order ids, ISBNs, ASINs, tracking numbers, prices and volume numbers, bare and in sentences."""
    random = Random(seed)
    makers = (_order_id, _isbn10, _isbn13, _asin, _tracking, _price, _volumes)
    for number in range(count):
        value, sentences = makers[number % len(makers)](random)
        yield random.choice((value, *(sentence.format(value) for sentence in sentences)))


def _digits(random: Random, count: int) -> str:
    return "".join(random.choice("0123456789") for _ in range(count))


def _order_id(random: Random) -> tuple[str, tuple[str, ...]]:
    value = f"{random.randint(100, 999)}-{_digits(random, 7)}-{_digits(random, 7)}"
    return value, ("where is order {}?", "Order {} shipped on 2026-11-20.", "call me about {}", "#{}", "({})")


def _isbn10(random: Random) -> tuple[str, tuple[str, ...]]:
    nine = random.choice("014") + _digits(random, 8)
    value = nine + isbn10_check_digit(nine)
    if random.random() < 0.3:
        value = f"{value[0]}-{value[1:5]}-{value[5:9]}-{value[9]}"
    return value, ("do you have ISBN {}?", "{} in stock", "the book {} please", "ISBN-10: {}")


def _isbn13(random: Random) -> tuple[str, tuple[str, ...]]:
    twelve = random.choice(("978", "979")) + _digits(random, 9)
    total = sum(int(digit) * (3 if index % 2 else 1) for index, digit in enumerate(twelve))
    value = twelve + str(-total % 10)
    if random.random() < 0.4:
        value = f"{value[:3]}-{value[3]}-{value[4:8]}-{value[8:12]}-{value[12]}"
    return value, ("do you have {}?", "ISBN-13 {} is out of print", "EAN {}", "is {} the deluxe edition")


def _asin(random: Random) -> tuple[str, tuple[str, ...]]:
    value = "B0" + "".join(random.choice("ABCDEFGHJKLMNPQRSTUVWXYZ0123456789") for _ in range(8))
    return value, ("is {} in stock?", "ASIN {}", "compare {} with the paperback")


def _tracking(random: Random) -> tuple[str, tuple[str, ...]]:
    value = random.choice(
        (
            "1Z" + "".join(random.choice("ABCDEFGHWXYZ0123456789") for _ in range(8)) + _digits(random, 8),
            "9400" + _digits(random, 18),
            "9205 5"
            + " ".join((_digits(random, 3), *(_digits(random, 4) for _ in range(3)), _digits(random, 2))),
            random.choice(("RR", "LX", "CP")) + _digits(random, 9) + random.choice(("US", "JP", "DE")),
            "TBA" + _digits(random, 12),
        )
    )
    own = ("track {}", "my tracking number is {}", "parcel {} has not moved", "UPS says {} is delayed")
    if random.random() < 0.3:
        # a carrier's number without letters says nothing by itself: it comes with its word
        value = random.choice(own).format(_digits(random, random.choice((10, 12, 15))))
        return value, ("{}",)
    return value, own


def _price(random: Random) -> tuple[str, tuple[str, ...]]:
    amount = random.choice(
        (f"{random.randint(1, 99)}.{_digits(random, 2)}", f"{random.randint(100, 99_999):,}")
    )
    value = random.choice((f"${amount}", f"{amount} USD", f"¥{random.randint(100, 9_999_999)}"))
    return value, (
        "is it {}?",
        "total {} with free shipping",
        "under {}",
    )


def _volumes(random: Random) -> tuple[str, tuple[str, ...]]:
    first = random.randint(1, 60)
    value = random.choice(
        (
            f"volumes {first}-{first + random.randint(1, 40)}",
            f"vol. {first}, {first + 1} and {first + 2}",
            f"chapters {first * 10}-{first * 10 + 9} of {random.randint(100, 1_100)}",
            f"volumes {first} {first + 1} {first + 2} {first + 3} {first + 4} {first + 5}",
            f"{first} of {first + 20} volumes, 2019-2026",
        )
    )
    return value, ("I need {}", "do you have {}?", "{} in one box")

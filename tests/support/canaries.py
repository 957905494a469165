"""Planted identifiers: made in numbers, put into messages, and looked for in every byte of a folder."""

from __future__ import annotations

import gzip
import re
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_LETTERS = "abcdefghij"
_GIVEN = (
    "Maria", "Thomas", "Julia", "Peter", "Laura", "Daniel", "Sophie", "Martin", "Helena", "Oliver", "Teresa",
    "Victor", "Ingrid", "Samuel", "Monica", "Edward", "Barbara", "Philip", "Katrina", "Gregory",
)  # fmt: skip


def _word(number: int) -> str:
    return "".join(_LETTERS[int(digit)] for digit in str(number))


def _luhn(digits: str) -> str:
    total = 0
    for index, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if index % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return str(-total % 10)


def _iban(number: int) -> str:
    account = f"NWBK60161{number:09d}"
    digits = "".join(str(int(c, 36)) for c in account + "GB00")
    return f"GB{98 - int(digits) % 97:02d}{account}"


@dataclass(frozen=True, slots=True)
class Person:
    """Everything that tells who one made-up shopper is; `number` makes it unlike all others."""

    number: int

    @property
    def identifiers(self) -> dict[str, str]:
        number = self.number
        card = f"4539{number:011d}"
        card += _luhn(card)
        return {
            "email": f"kanari.{_word(number)}{number}@mailbox.example.org",
            "phone": (
                f"(646) 55{number // 10_000 % 10}-{number % 10_000:04d}",
                f"+1 646-55{number // 10_000 % 10}-{number % 10_000:04d}",
                f"646.55{number // 10_000 % 10}.{number % 10_000:04d}",
            )[number % 3],
            "card": " ".join(card[i : i + 4] for i in range(0, 16, 4)) if number % 2 else card,
            "ssn": f"{400 + number // 9_000:03d}-{number // 100 % 90 + 10:02d}-{number % 9_000 + 1_000:04d}",
            "iban": _iban(number),
            "ip": f"10.{number // 65_536 + 20}.{number // 256 % 256}.{number % 256}",
            "address": f"{number + 100} Kanari{_word(number)} Street",
            "person": f"{_GIVEN[number % len(_GIVEN)]} Kanari{_word(number)}son",
        }

    @property
    def words(self) -> str:
        """What this shopper writes."""
        own = self.identifiers
        return (
            f"my name is {own['person']}, I live at {own['address']}, "
            f"mail {own['email']} or call {own['phone']}. "
            f"My card is {own['card']}, SSN {own['ssn']}, IBAN {own['iban']}, I write from {own['ip']}. "
            "Is volume 3 of Berserk in stock?"
        )


class Canaries:
    """Hands out people and finds what is left of them."""

    def __init__(self) -> None:
        self._people: list[Person] = []

    def person(self) -> Person:
        """Return somebody new."""
        self._people.append(Person(len(self._people) + 17))
        return self._people[-1]

    @property
    def planted(self) -> int:
        """How many identifiers were handed out."""
        return sum(len(person.identifiers) for person in self._people)

    def found_in(self, folders: Iterable[Path]) -> list[str]:
        """Return every identifier that stands in a file, and where; compressed values are opened."""
        needles = {_plain(value.encode()): value for person in self._people for value in _needles(person)}
        return [
            f"{needles[plain]} in {where}"
            for folder in folders
            for where, content in _contents(folder)
            for match in _SUSPECT.finditer(content)
            if (plain := _plain(match.group())) in needles
        ]


_SUSPECT = re.compile(
    rb"kanari\.[a-j]+[0-9]+@[a-z.]+|[0-9]+ Kanari[a-j]+ Street|[A-Z][a-z]+ Kanari[a-j]+son|kanari[a-j]+"
    rb"|GB[0-9]{2}NWBK[0-9]+|(?<![0-9.])10\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}(?![0-9])|4539[0-9 ]{12,15}"
    rb"|[0-9]{3}-[0-9]{2}-[0-9]{4}|646[)]?[ .-]?55[0-9][ .-]?[0-9]{4}",
    re.IGNORECASE,
)


def _needles(person: Person) -> Iterator[str]:
    for kind, value in person.identifiers.items():
        yield value.removeprefix("+1 ").removeprefix("(") if kind == "phone" else value


def _plain(value: bytes) -> bytes:
    """Leave out what spellings differ in."""
    return re.sub(rb"[^a-z0-9@]", b"", value.lower())


def _contents(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        content = path.read_bytes()
        yield path.name, content
        if content[:2] == b"\x1f\x8b":
            yield f"{path.name} (unzipped)", gzip.decompress(content)
        if content[:15] == b"SQLite format 3":
            yield from _values(path)


def _values(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield every value of a database, opened where it is compressed."""
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
        names = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (table,) in names:
            for row in database.execute(f'SELECT * FROM "{table}"'):
                for value in row:
                    if isinstance(value, bytes):
                        yield f"{path.name}: {table}", value
                        yield f"{path.name}: {table} (opened)", _opened(value)
    database.close()


def _opened(value: bytes) -> bytes:
    try:
        return zlib.decompress(value)
    except zlib.error:
        return b""

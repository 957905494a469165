"""Ways in which attackers hide words, to measure how much recall each costs."""

from __future__ import annotations

import base64
import codecs
from collections.abc import Callable, Mapping
from typing import Final

DISGUISES: Final[Mapping[str, Callable[[str], str]]] = {
    "zero_width": lambda text: "\u200b".join(text),
    "bidi": lambda text: f"\u202d{text}\u202c",
    "full_width": lambda text: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text),
    "homoglyphs": lambda text: text.translate(str.maketrans("aeopcyxiABEHKMOPCTX", "аеорсухіАВЕНКМОРСТХ")),
    "tags": lambda text: "hello" + "".join(chr(0xE0000 + ord(c)) if c.isascii() else c for c in text),
    "leet": lambda text: text.translate(str.maketrans("aeiostAEIOST", "431057431057")),
    "spacing": lambda text: " ".join(text),
    "dots": lambda text: ".".join(text),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "hex": lambda text: text.encode().hex(),
    "rot13": lambda text: codecs.encode(text, "rot13"),
    "url": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
}
"""A text in each; all of it is hidden."""

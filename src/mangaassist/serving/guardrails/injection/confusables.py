"""Characters that are not what they look like (after Unicode TR 39, the ones that occur in attacks)."""

from __future__ import annotations

import re
from typing import Final

TAG_PATTERN: Final = re.compile("[\U000e0020-\U000e007e]")
"""Invisible copies of ASCII."""

_SINGLE: Final = (0x00AD, 0x034F, 0x061C, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180E, 0x3164, 0xFEFF, 0xFFA0)
_RANGES: Final = (
    range(0x200B, 0x2010),
    range(0x202A, 0x202F),
    range(0x2060, 0x2070),
    range(0xFE00, 0xFE10),
    range(0xE0000, 0xE0080),
    range(0xE0100, 0xE01F0),
)
INVISIBLE: Final = frozenset(map(chr, _SINGLE)).union(*(map(chr, codes) for codes in _RANGES))
"""Zero-width, bidirectional, tag and variation characters, soft hyphen and fillers."""

CONFUSABLES: Final = dict(
    zip(
        "аӓвԁеһіїјкӏмнорԛѕтцѵԝхуүгпьАВЕЅІЈКМНОРСТХУԌԚԜЗСс"
        "αβγεηικνορτυχωΑΒΕΖΗΙΚΜΝΟΡΤΥΧϲϳ"
        "ɑɡɩıɪʏʀɴʟʜɢʙᴀᴄᴅᴇᴊᴋᴍᴏᴘᴛᴜᴠᴡᴢꜰꜱօոսցհ",
        "aabdehiijklmhopqstuvwxyyrnbABESIJKMHOPCTXYGQW3Cc"
        "aByenikvoptuxwABEZHIKMNOPTYXcj"
        "agiiiyrnlhgbacdejkmoptuvwzfsonugh",
        strict=True,
    )
)

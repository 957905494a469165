"""Words that carry no subject of their own, for telling what a question is really about."""

from __future__ import annotations

from typing import Final

_FUNCTION_WORDS = """
a about after all also am an and any are as at be been before bring but by can could did do does
don't for from get got had has have hello hey hi how hows i i'd i'm if im in into is it it's its ive
just long many me much my no not of on one or our please pls plz so some than thanks that the their
them then there they this those to too u up us use was we were what what's whats when where wheres
which who why will with would you your yours
"""
_SERIES_WORDS = """
anything book books edition editions ever give info information know like look looking manga more
much need ok question quick s sell series should something stock tell that's these title vol volume
volumes want well whats yes
"""
_OFFER_WORDS = """
active anything available bargain best books broke campaign cheap cheaper code codes coupon current
currently deals discounts going list manga month new next now off offers on percent promo promotions
right running sale sales show something soon still tell today today's upcoming valid week year
"""
_RELATIVE_REASONS = """
a about also an at available by cheaper close complete completed drawn fine finished for from gentle
good in no on one ongoing part published rated safe set short shorter similar still suitable the
under well within written
"""

FUNCTION_WORDS: Final = frozenset(_FUNCTION_WORDS.split())
SERIES_WORDS: Final = FUNCTION_WORDS | frozenset(_SERIES_WORDS.split())
OFFER_WORDS: Final = tuple(_OFFER_WORDS.split())
STATE_OPENINGS: Final = frozenset(_RELATIVE_REASONS.split())

"""Conversations as data: what is said, what the classifier makes of it, and what must come of it.

A turn is `T(text, guess, expected...)`. `guess` is a letter for the classifier's intent; in lower case the
classifier is unsure. Expectations name fields of the outcome (see `test_stories.py`); what is not named is
not looked at. `shown` sets the series that the answer named, so that a story does not hang on the ranking.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mangaassist.domain.intents import Intent

GUESSES = {
    "r": Intent.RECOMMENDATION, "p": Intent.PRODUCT_QUESTION, "f": Intent.FAQ, "o": Intent.ORDER_TRACKING,
    "d": Intent.PROMOTION, "k": Intent.CHECKOUT_HELP, "t": Intent.RETURN_REQUEST, "c": Intent.CHITCHAT,
    "e": Intent.ESCALATION, "x": Intent.OUT_OF_SCOPE,
}  # fmt: skip
REC, ASK = Intent.RECOMMENDATION, Intent.PRODUCT_QUESTION


@dataclass(frozen=True)
class T:
    """One turn of a story."""

    text: str
    guess: str
    expected: dict[str, object] = field(default_factory=dict)
    shown: tuple[str, ...] | None = None
    asin: str | None = None


def t(text: str, guess: str, shown: str | None = None, **expected: object) -> T:
    """Write a turn briefly; `shown` is a space-separated list of series."""
    return T(text, guess, expected, tuple(shown.split()) if shown is not None else None)


LIKE_BERSERK = t(
    "something like berserk but less grim",
    "R",
    "vinland-saga vagabond claymore",
    intent=REC,
    like="berserk",
    exclude_moods="grim",
)
HORROR = t("recommend me a horror manga", "R", "uzumaki parasyte tomie", intent=REC, genres="horror")
BLEACH = t("how many volumes does Bleach have?", "P", intent=ASK, focus="bleach", aspects="volumes")

STORIES: dict[str, list[T]] = {
    # --- references to what was listed ---
    "the second one": [LIKE_BERSERK, t("the second one?", "c", intent=ASK, focus="vagabond")],
    "second one with a question": [
        LIKE_BERSERK,
        t("is the second one finished?", "p", intent=ASK, focus="vagabond", aspects="status"),
    ],
    "the last": [
        LIKE_BERSERK,
        t("tell me about the last one", "c", intent=ASK, focus="claymore", aspects="summary"),
    ],
    "the first then it": [
        LIKE_BERSERK,
        t("how much is the first one", "p", intent=ASK, focus="vinland-saga", aspects="price"),
        t("and who wrote it", "p", intent=ASK, focus="vinland-saga", aspects="author"),
    ],
    "number two": [
        HORROR,
        t("number 2 sounds good, is it in stock?", "p", intent=ASK, focus="parasyte", aspects="stock"),
    ],
    "list survives a question": [
        LIKE_BERSERK,
        t("who wrote the first one?", "p", intent=ASK, focus="vinland-saga"),
        t("and the second one?", "c", intent=ASK, focus="vagabond", aspects="author"),
        t("and the third?", "c", intent=ASK, focus="claymore", aspects="author"),
    ],
    "which of those": [
        LIKE_BERSERK,
        t(
            "which of those is finished",
            "p",
            intent=ASK,
            focus="vinland-saga vagabond claymore",
            aspects="status",
        ),
    ],
    "both": [
        t("compare monster and pluto", "r", "monster pluto", mentioned="monster pluto"),
        t("are both finished?", "p", intent=ASK, focus="monster pluto", aspects="status"),
    ],
    "the cheaper one": [
        t(
            "compare uzumaki and death note",
            "P",
            "uzumaki death-note",
            intent=ASK,
            focus="uzumaki death-note",
        ),
        t("the shorter one, is it in stock?", "p", intent=ASK, focus="uzumaki", aspects="stock"),
    ],
    "the other one": [
        t("compare monster and pluto", "P", "monster pluto", intent=ASK),
        t("how many volumes has the first one", "p", intent=ASK, focus="monster"),
        t("and the other one?", "c", intent=ASK, focus="pluto", aspects="volumes"),
    ],
    "how much is that one": [
        HORROR,
        t("how much is that one", "p", intent=ASK, focus="uzumaki", aspects="price"),
    ],
    "ordinal beyond the list": [LIKE_BERSERK, t("the fifth one?", "c", ordinal=5)],
    # --- comparatives and refinements ---
    "any cheaper": [
        LIKE_BERSERK,
        t("any cheaper?", "d", intent=REC, like="berserk", exclude_moods="grim", has_max_price=True),
    ],
    "something shorter": [HORROR, t("something shorter", "r", intent=REC, genres="horror", max_volumes=2)],
    "longer": [HORROR, t("something longer?", "c", intent=REC, genres="horror", min_volumes=11)],
    "newer": [HORROR, t("anything newer?", "c", intent=REC, genres="horror", has_year_from=True)],
    "less scary": [HORROR, t("something less scary", "c", intent=REC, exclude_genres="horror", genres="")],
    "darker": [LIKE_BERSERK, t("darker please", "c", intent=REC, like="berserk", moods="dark")],
    "too dark": [LIKE_BERSERK, t("that's too dark for me", "x", intent=REC, exclude_moods="grim dark")],
    "too expensive": [LIKE_BERSERK, t("too expensive", "x", intent=REC, has_max_price=True)],
    "for a ten-year-old": [
        LIKE_BERSERK,
        t("and for a ten-year-old?", "c", intent=REC, age=10, like="berserk", exclude_moods="grim"),
    ],
    "for my niece": [
        t("a funny adventure please", "R", intent=REC, genres="comedy adventure"),
        t("it's for my 8 yo niece", "c", intent=REC, genres="comedy adventure", age=8),
    ],
    "with magic": [
        t("fantasy recs", "R", intent=REC, genres="fantasy"),
        t("and with magic?", "c", intent=REC, genres="fantasy", themes="magic"),
    ],
    "without romance": [
        t("shoujo recommendations", "R", intent=REC),
        t("but without romance", "c", intent=REC, exclude_genres="romance"),
    ],
    "finished only": [HORROR, t("finished only please", "c", intent=REC, genres="horror", status="finished")],
    "from the 90s": [HORROR, t("from the 90s?", "c", intent=REC, genres="horror", years=(1990, 1999))],
    "with an anime": [HORROR, t("with an anime?", "c", intent=REC, genres="horror", anime=True)],
    "hardcover for a list": [
        HORROR,
        t("in hardcover?", "c", intent=REC, genres="horror", format="hardcover"),
    ],
    "length limit": [
        t("a good mystery", "R", intent=REC, genres="mystery"),
        t("under 10 volumes", "c", intent=REC, genres="mystery", max_volumes=10),
    ],
    "one-shot": [
        t("a sad romance", "R", intent=REC, genres="romance", moods="melancholic"),
        t("a one-shot maybe?", "c", intent=REC, genres="romance", max_volumes=1),
    ],
    # --- budget ---
    "budget stated alone": [HORROR, t("my budget is 30", "x", intent=REC, genres="horror", max_price=30)],
    "budget corrected": [
        HORROR,
        t("under $30", "c", intent=REC, max_price=30),
        t("actually under $20", "c", intent=REC, genres="horror", max_price=20),
    ],
    "make it 25": [
        HORROR,
        t("under $30", "c", max_price=30),
        t("make it 25", "x", intent=REC, genres="horror", max_price=25),
    ],
    "price range": [HORROR, t("$15-30", "x", intent=REC, genres="horror", max_price=30, min_price=15)],
    "range then cap": [
        HORROR,
        t("between 15 and 30 dollars", "c", max_price=30, min_price=15),
        t("max 10 bucks", "c", max_price=10, min_price=None),
    ],
    "budget survives a new taste": [
        t("horror under $15", "R", intent=REC, genres="horror", max_price=15),
        t("recommend me a sports manga", "R", intent=REC, genres="sports", max_price=15),
    ],
    "age survives a new taste": [
        t("adventure for a 9 year old", "R", intent=REC, genres="adventure", age=9),
        t("can you suggest a comedy", "R", intent=REC, genres="comedy", age=9),
    ],
    # --- refusals and more ---
    "not that one": [HORROR, t("not that one", "x", intent=REC, genres="horror", refused="uzumaki")],
    "not the second": [HORROR, t("not the second one", "x", intent=REC, refused="parasyte")],
    "already read it": [
        HORROR,
        t("i've read that already", "c", intent=REC, genres="horror", refused="uzumaki"),
    ],
    "already read them": [
        HORROR,
        t("i have read all of those", "c", intent=REC, genres="horror", refused="uzumaki parasyte tomie"),
    ],
    "already own a title": [HORROR, t("i already own parasyte", "c", intent=REC, refused="parasyte")],
    "another one": [
        HORROR,
        t("another one", "c", intent=REC, genres="horror", not_offered="uzumaki parasyte tomie"),
    ],
    "anything else": [
        HORROR,
        t("anything else?", "c", intent=REC, genres="horror", not_offered="uzumaki parasyte tomie"),
    ],
    "more like the first": [LIKE_BERSERK, t("more like the first", "r", intent=REC, like="vinland-saga")],
    "something like that": [
        BLEACH,
        t("something like that but shorter", "r", intent=REC, like="bleach", max_volumes=73),
    ],
    "another after a question": [
        HORROR,
        t("is the first one finished?", "p", intent=ASK, focus="uzumaki"),
        t("what else do you have?", "c", intent=REC, genres="horror"),
    ],
    # --- corrections ---
    "I meant another title": [
        BLEACH,
        t("no, I meant Naruto", "c", intent=ASK, focus="naruto", aspects="volumes"),
    ],
    "I meant another model": [LIKE_BERSERK, t("no, i meant vagabond", "c", intent=REC, like="vagabond")],
    "comedy instead": [HORROR, t("ok what about comedy instead", "c", intent=REC, genres="comedy")],
    "forget the horror": [
        t("a horror romance please", "R", intent=REC, genres="horror romance"),
        t("forget the horror", "c", intent=REC, genres="romance", exclude_genres=""),
    ],
    "age corrected": [
        t("a comedy for a 12 year old", "R", age=12),
        t("sorry, she is 8", "c", intent=REC, genres="comedy", age=8),
    ],
    "wanted after refused": [
        t("fantasy without romance", "R", genres="fantasy", exclude_genres="romance"),
        t("actually a bit of romance is fine", "c", intent=REC, genres="fantasy romance", exclude_genres=""),
    ],
    # --- questions about one series ---
    "is it finished": [BLEACH, t("is it finished?", "c", intent=ASK, focus="bleach", aspects="status")],
    "is it finished after a list": [
        LIKE_BERSERK,
        t("is it finished?", "r", intent=ASK, focus="vinland-saga", aspects="status"),
    ],
    "volume 3": [BLEACH, t("what about volume 3", "c", intent=ASK, focus="bleach", volumes=(3,))],
    "price of the volume in focus": [
        t("do you have naruto vol 3", "P", intent=ASK, focus="naruto", volumes=(3,), aspects="stock"),
        t("how much is it", "p", intent=ASK, focus="naruto", aspects="price", product=("single", 3)),
    ],
    "and volume 4": [
        t("price of naruto vol 3", "P", intent=ASK, volumes=(3,)),
        t("and volume 4?", "c", intent=ASK, focus="naruto", volumes=(4,), aspects="price"),
    ],
    "in hardcover": [
        t("do you have parasyte", "P", intent=ASK, focus="parasyte"),
        t("in hardcover?", "c", intent=ASK, focus="parasyte", asked_format="hardcover"),
    ],
    "and the box set": [
        t("price of naruto vol 3", "P", intent=ASK, focus="naruto"),
        t("and the box set?", "c", intent=ASK, focus="naruto", product_kind="box_set", no_volume=True),
        t("how much is it", "p", intent=ASK, focus="naruto", product_kind="box_set"),
    ],
    "deluxe by its number": [
        t("u guys have berserk deluxe 3?", "P", intent=ASK, focus="berserk", product_title="Deluxe Volume 3")
    ],
    "what about another title": [
        t("is naruto finished", "P", intent=ASK, focus="naruto", aspects="status"),
        t("and one piece?", "c", intent=ASK, focus="one-piece", aspects="status"),
    ],
    "new title does not keep the volume": [
        t("price of naruto vol 3", "P", focus="naruto", volumes=(3,)),
        t("how much is uzumaki?", "P", intent=ASK, focus="uzumaki", no_volume=True),
    ],
    "cheapest edition": [BLEACH, t("any cheaper edition?", "p", intent=ASK, focus="bleach")],
    "suitable for an age": [
        LIKE_BERSERK,
        t("is it suitable for a 12 year old?", "p", intent=ASK, focus="vinland-saga", aspects="age_rating"),
    ],
    "unknown title": [
        t("do you have Foobar Chronicles?", "P", intent=ASK, unknown="Foobar Chronicles", focus="")
    ],
    "unknown title ends the focus": [
        BLEACH,
        t("do you have zorblax quest?", "P", intent=ASK, unknown="zorblax quest", focus=""),
    ],
    "works of an author": [
        t("what else did naoki urasawa write", "P", intent=ASK, offered="monster pluto"),
        t("is the first one finished?", "p", intent=ASK, aspects="status"),
    ],
    # --- the page ---
    "this book": [
        T("is this in stock?", "P", {"intent": ASK, "focus": "@page", "aspects": "stock"}, asin="@berserk-2")
    ],
    "like this one": [
        T("something like this but less violent", "R", {"intent": REC, "like": "@page"}, asin="@berserk-2")
    ],
    # --- topics ---
    "new topic drops everything": [
        t("horror under $15 for a 16 year old", "R", genres="horror", max_price=15, age=16),
        t(
            "different topic: a cozy romance for my wife",
            "R",
            intent=REC,
            genres="romance",
            max_price=None,
            age=None,
        ),
    ],
    "orders then a fresh request": [
        t("horror under $15", "R", genres="horror", max_price=15),
        t("where is my order 114-5550101-2000001", "O", intent=Intent.ORDER_TRACKING),
        t("recommend me a sports manga", "R", intent=REC, genres="sports", max_price=None),
    ],
    "back to the manga": [
        t("horror under $15", "R", genres="horror", max_price=15),
        t("how long does shipping take?", "F", intent=Intent.FAQ),
        t(
            "back to the manga: anything with vampires?",
            "r",
            intent=REC,
            genres="horror",
            themes="vampires",
            max_price=15,
        ),
    ],
    "shipping follow-up": [
        t("how much is shipping to Germany?", "F", intent=Intent.FAQ),
        t(
            "and to Canada?",
            "x",
            intent=Intent.FAQ,
            resolved="how much is shipping to Germany? and to Canada?",
        ),
    ],
    "thanks keeps the topic": [
        LIKE_BERSERK,
        t("thanks!", "C", intent=Intent.CHITCHAT, topic=REC, like="berserk"),
        t("any cheaper?", "d", intent=REC, like="berserk"),
    ],
    "order follow-up": [
        t(
            "where is my order 114-5550101-2000001",
            "O",
            intent=Intent.ORDER_TRACKING,
            order="114-5550101-2000001",
        ),
        t("when will it arrive?", "o", intent=Intent.ORDER_TRACKING, order="114-5550101-2000001"),
        t("can i return it?", "T", intent=Intent.RETURN_REQUEST, order="114-5550101-2000001"),
    ],
    "escalation is never overruled": [
        LIKE_BERSERK,
        t("that is useless, get me a person", "e", intent=Intent.ESCALATION),
    ],
    "promotion is not cheaper": [LIKE_BERSERK, t("do you have a coupon?", "D", intent=Intent.PROMOTION)],
    "order words are not products": [
        LIKE_BERSERK,
        t("when will my order arrive?", "O", intent=Intent.ORDER_TRACKING),
    ],
    "new title replaces the model": [
        LIKE_BERSERK,
        t("something like yotsuba", "R", intent=REC, like="yotsuba", exclude_moods=""),
    ],
    "another reader has another taste": [
        t(
            "something for my 12 year old nephew who likes football",
            "R",
            intent=REC,
            themes="football",
            age=12,
        ),
        t("and something for her brother? he likes robots", "r", intent=REC, themes="robots", age=12),
        t("ok, and for me? something dark", "r", intent=REC, themes="", moods="dark", age=None),
    ],
    "are they scary": [
        HORROR,
        t("are they scary?", "p", intent=ASK, focus="uzumaki parasyte tomie", aspects="genre"),
    ],
    "someone already has it": [
        t("a good manga for my son, he is 7", "R", intent=REC, age=7),
        t("he already has doraemon", "r", intent=REC, age=7, refused="doraemon"),
    ],
    "and a bare number": [
        t("do you have naruto vol 3", "P", volumes=(3,)),
        t("and 4?", "c", intent=ASK, focus="naruto", volumes=(4,)),
    ],
    "question about the focus without a pronoun": [
        BLEACH,
        t("how much would the whole set cost", "P", intent=ASK, focus="bleach", aspects="price"),
    ],
    "more volumes is a count": [
        BLEACH,
        t("how many more volumes are left in that series", "P", intent=ASK, focus="bleach"),
    ],
    "a question does not lose the wishes": [
        t("horror under $15", "R", "uzumaki parasyte", genres="horror", max_price=15),
        t("who wrote the first one", "p", intent=ASK, focus="uzumaki"),
        t("something shorter?", "c", intent=REC, genres="horror", max_price=15),
    ],
}

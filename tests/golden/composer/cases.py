"""The questions: each with the facts that the shop would have found for it."""

from __future__ import annotations

from datetime import date

from mangaassist.domain.dialogue import Constraints
from mangaassist.domain.grounding import AnswerFacts
from mangaassist.domain.intents import Intent
from tests.support.composer_facts import (
    customer,
    facts,
    item,
    offer,
    order,
    passages,
    promotions,
    volume,
)

R, P, F = Intent.RECOMMENDATION, Intent.PRODUCT_QUESTION, Intent.FAQ
O, S, K = Intent.ORDER_TRACKING, Intent.PROMOTION, Intent.CHECKOUT_HELP  # noqa: E741
T = Intent.RETURN_REQUEST


def cases() -> dict[str, AnswerFacts]:
    """Return every question by the name of its expected answer."""
    return {
        "like_berserk_but_less_grim": facts(
            R,
            "something like berserk but less grim",
            wishes=Constraints(like_series=("berserk",), exclude_moods=("grim",)),
            subjects=(item("berserk", volume(1, 13.99, 43)),),
            candidates=(
                item(
                    "vinland-saga",
                    volume(1, 10.99, 12),
                    reasons=("shares the revenge theme with Berserk",),
                ),
                item("vagabond", volume(1, 12.99, 4), reasons=("shares the epic action of Berserk",)),
                item("claymore", volume(1, 9.99, 0), reasons=("shares the demons theme with Berserk",)),
            ),
        ),
        "funny_romance_under_twenty": facts(
            R,
            "a funny romance under $20",
            wishes=Constraints(genres=("romance",), moods=("funny",), max_price_usd=20),
            candidates=(
                item("kaguya-sama-love-is-war", volume(1, 9.99, 8), reasons=("is funny", "starts at $9.99")),
                item("horimiya", volume(1, 12.99, 30), reasons=("is funny", "starts at $12.99")),
            ),
        ),
        "for_a_ten_year_old": facts(
            R,
            "and for a ten-year-old?",
            follow_up=True,
            turn=2,
            wishes=Constraints(genres=("adventure",), reader_age=10),
            candidates=(
                item("yotsuba", volume(1, 13.99, 9), reasons=("is rated for all ages",)),
                item("witch-hat-atelier", volume(1, 12.99, 3), reasons=("is rated 10+",), age_rating="10+"),
            ),
        ),
        "any_cheaper": facts(
            R,
            "any cheaper?",
            follow_up=True,
            turn=1,
            aspects=("cheapest",),
            wishes=Constraints(genres=("thriller",), max_price_usd=12),
            candidates=(
                item(
                    "death-note",
                    volume(1, 9.99, 20),
                    reasons=("is thriller about mind games", "starts at $9.99"),
                ),
            ),
        ),
        "relaxed_wish": facts(
            R,
            "finished horror in 3 volumes for under $10",
            wishes=Constraints(genres=("horror",), max_volumes=3, status="finished", max_price_usd=10),
            relaxed=("the budget of $10",),
            candidates=(item("uzumaki", offer("deluxe", 27.99, 5, title="Uzumaki (3-in-1 Deluxe Edition)")),),
        ),
        "nothing_found": facts(
            R,
            "sports manga with robots for my 6 year old under 5 dollars",
            wishes=Constraints(genres=("sports",), themes=("robots",), reader_age=6, max_price_usd=5),
        ),
        "no_wish_at_all": facts(
            R,
            "i want to start reading manga",
            candidates=(
                item(
                    "fullmetal-alchemist",
                    volume(1, 9.99, 22),
                    reasons=("is uplifting and epic, about alchemy and brothers",),
                ),
                item(
                    "monster",
                    volume(1, 15.99, 7),
                    reasons=("is tense and dark, about serial killer and doctor",),
                ),
                item("yotsuba", volume(1, 13.99, 9), reasons=("is cozy and funny, about family and summer",)),
            ),
        ),
        "unknown_favourite": facts(
            R, "something like Moon Parade Chronicles", unknown_title="Moon Parade Chronicles"
        ),
        "compare_two": facts(
            R,
            "monster or 20th century boys?",
            aspects=("compare",),
            subjects=(item("monster", volume(1, 15.99, 7)), item("20th-century-boys", volume(1, 14.99, 2))),
        ),
        "compare_three": facts(
            P,
            "whats the difference between one piece, naruto and bleach",
            aspects=("compare",),
            subjects=(
                item("one-piece", volume(1, 9.99, 30)),
                item("naruto", volume(1, 9.99, 10)),
                item("bleach", volume(1, 9.99, 0)),
            ),
        ),
        "price_of_a_volume": facts(
            P,
            "how much is monster vol 3",
            aspects=("price",),
            volumes=(3,),
            subjects=(item("monster", volume(3, 15.99, 7), offer("digital", 9.99, None, volume=3)),),
        ),
        "price_and_stock": facts(
            P,
            "is berserk in stock and what does it cost",
            aspects=("price", "stock"),
            subjects=(
                item(
                    "berserk",
                    volume(1, 13.99, 43),
                    offer("deluxe", 49.99, 4, title="Berserk Deluxe Volume 1"),
                ),
            ),
        ),
        "unknown_price": facts(
            P,
            "price of vagabond 1",
            aspects=("price",),
            volumes=(1,),
            subjects=(item("vagabond", volume(1, None, None)),),
        ),
        "volumes_of_a_running_series": facts(
            P,
            "how many volumes does frieren have",
            aspects=("volumes",),
            subjects=(item("frieren-beyond-journeys-end", volume(1, 9.99, 3)),),
        ),
        "finished_and_length": facts(
            P,
            "is it finished?",
            resolved="is Monster finished?",
            follow_up=True,
            turn=3,
            aspects=("status",),
            subjects=(item("monster", volume(1, 15.99, 7)),),
        ),
        "several_aspects": facts(
            P,
            "who wrote frieren, is it finished and is there an anime",
            aspects=("author", "status", "anime"),
            subjects=(item("frieren-beyond-journeys-end", volume(1, 9.99, 3)),),
        ),
        "summary": facts(
            P,
            "what is mushishi about",
            aspects=("summary",),
            subjects=(item("mushishi", volume(1, 12.99, 0)),),
        ),
        "editions_of_berserk": facts(
            P,
            "what editions of monster are there",
            aspects=("editions",),
            subjects=(item("monster", volume(1, 15.99, 7), offer("digital", 9.99, None, volume=1)),),
        ),
        "preorder_date": facts(
            P,
            "when does frieren 13 come out",
            aspects=("release_date",),
            volumes=(13,),
            subjects=(
                item("frieren-beyond-journeys-end", volume(13, 9.99, 0, release_date=date(2026, 12, 8))),
            ),
        ),
        "missing_volume": facts(
            P,
            "do you have vol 45 of one piece",
            aspects=("stock",),
            volumes=(45,),
            subjects=(item("one-piece", volume(1, 9.99, 30)),),
        ),
        "unknown_title": facts(
            P, "do you have Foobar Chronicles", aspects=("stock",), unknown_title="Foobar Chronicles"
        ),
        "age_of_berserk": facts(
            P,
            "is berserk ok for a 12 year old",
            aspects=("age_rating",),
            wishes=Constraints(reader_age=12),
            subjects=(item("berserk", volume(1, 13.99, 43)),),
        ),
        "unanswerable_detail": facts(
            P,
            "how many pages has vol 1 of monster",
            volumes=(),
            subjects=(item("monster", volume(1, 15.99, 7)),),
        ),
        "only_a_title": facts(P, "chainsaw man", subjects=(item("chainsaw-man", volume(1, 11.99, 18)),)),
        "shipping_to_canada": facts(
            F,
            "how much is shipping to canada",
            passages=passages("shipping-international", "shipping-countries", "shipping-us-methods"),
        ),
        "free_shipping": facts(
            F,
            "do i get free shipping",
            passages=passages("free-shipping", "club-overview", "shipping-us-methods"),
        ),
        "gift_card_expiry": facts(
            F, "do gift cards expire", passages=passages("gift-cards", "gift-card-use", "points-expiry")
        ),
        "po_box": facts(
            F, "do u ship to po boxes", passages=passages("po-boxes-military", "alaska-hawaii-territories")
        ),
        "how_many_devices": facts(
            F,
            "how many devices can I use for the digital reader?",
            passages=passages("digital-devices", "digital-how"),
        ),
        "not_in_the_articles": facts(
            F, "can i bring my dog to the shop", passages=passages("pickup-store", "accessibility")
        ),
        "nothing_retrieved": facts(F, "do you deliver by drone"),
        "any_deals": facts(
            S,
            "any deals right now?",
            promotions=promotions(
                "welcome-first-order", "autumn-box-sets-2026", "thriller-november-2026", "free-us-standard"
            ),
            passages=passages("sale-frequency", "coupon-rules"),
        ),
        "box_set_deals": facts(
            S,
            "cheap box sets on sale pls",
            promotions=promotions("autumn-box-sets-2026", "welcome-first-order"),
            passages=passages("box-sets", "series-bundles"),
        ),
        "expired_code": facts(
            S,
            "does the code SPRING24 still work",
            expired_promotions=promotions("spring-sale-2024"),
            promotions=promotions("thriller-november-2026"),
            passages=passages("coupon-not-working"),
        ),
        "price_match": facts(
            S,
            "do you price match",
            promotions=promotions("welcome-first-order", "autumn-box-sets-2026"),
            passages=passages("price-match", "coupon-rules"),
        ),
        "points_worth": facts(
            S,
            "what are my points worth",
            customer=customer("cust-aiko"),
            signed_in=True,
            promotions=promotions("autumn-box-sets-2026"),
            passages=passages("points-redeeming", "points-earning"),
        ),
        "where_is_my_order": facts(
            O, "where is my order", signed_in=True, orders=(order("114-5550729-2134624"),)
        ),
        "delayed_order": facts(
            O, "why is my order late", signed_in=True, orders=(order("114-5551321-2261328"),)
        ),
        "order_without_sign_in": facts(O, "where is my order"),
        "someone_elses_order": facts(
            O, "status of 203-4455667-7788990", signed_in=True, order_ids=("203-4455667-7788990",)
        ),
        "card_declined": facts(
            K,
            "my card keeps getting declined",
            passages=passages("payment-declined", "three-d-secure", "payment-methods"),
        ),
        "unpaid_order": facts(
            K,
            "payment failed on my order, what now",
            signed_in=True,
            orders=(order("114-5552209-2451384"),),
            passages=passages("payment-declined", "three-d-secure"),
        ),
        "coupon_not_working": facts(
            K, "promo code box wont accept my code", passages=passages("coupon-not-working", "coupon-rules")
        ),
        "torn_cover": facts(
            T,
            "my book arrived with a torn cover",
            passages=passages("damaged-books", "returns-how-to", "returns-window"),
        ),
        "return_in_time": facts(
            T,
            "can i return my last order",
            signed_in=True,
            orders=(order("114-5551136-2221733"),),
            passages=passages("returns-window", "returns-how-to"),
        ),
        "return_too_late": facts(
            T,
            "i want to return my books",
            signed_in=True,
            orders=(order("114-5551062-2205895"),),
            passages=passages("returns-window", "returns-how-to"),
        ),
        "cancel_placed_order": facts(
            T,
            "cancel my order please",
            signed_in=True,
            orders=(order("114-5550101-2000001"),),
            passages=passages("cancel-order", "returns-window"),
        ),
        "thanks": facts(Intent.CHITCHAT, "thanks a lot!"),
        "angry": facts(
            Intent.ESCALATION,
            "this is ridiculous, i want a human",
            orders=(order("114-5551321-2261328"),),
            signed_in=True,
            passages=passages("contact-support"),
        ),
        "out_of_scope": facts(Intent.OUT_OF_SCOPE, "how do i center a div"),
    }

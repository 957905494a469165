"""Keeps one generation within the tokens that were reserved for it, before it is started."""

from __future__ import annotations

import math
from dataclasses import replace

from mangaassist.domain.budget import Reservation
from mangaassist.domain.generation import GenerationRequest

CHARACTERS_PER_TOKEN = 3.0
"""Of a prompt, counted low on purpose: English averages about four, so the real count stays below."""

MIN_ANSWER_TOKENS = 80


def within_reservation(request: GenerationRequest, reservation: Reservation) -> GenerationRequest | None:
    """Return the request with its output bounded so that prompt and answer fit; None when they cannot.

    The sum of what a session uses then stays below its limit whatever runs side by side, since
    reservations never exceed it together.
    """
    characters = len(request.system) + sum(len(message.text) for message in request.messages)
    left = reservation.reserved_tokens - math.ceil(characters / CHARACTERS_PER_TOKEN)
    if left < MIN_ANSWER_TOKENS:
        return None
    parameters = request.parameters
    return replace(request, parameters=replace(parameters, max_tokens=min(parameters.max_tokens, left)))

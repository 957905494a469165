"""Earlier turns as messages: the newest first to stay, alternating, bounded by characters."""

from __future__ import annotations

from collections.abc import Sequence

from mangaassist.domain.chat import Turn
from mangaassist.domain.generation import Message
from mangaassist.serving.prompts.blocks import customer_message

MAX_HISTORY_CHARS = 6_000
MAX_TURN_CHARS = 1_500


def history_messages(turns: Sequence[Turn], *, max_chars: int = MAX_HISTORY_CHARS) -> tuple[Message, ...]:
    """Return the newest turns that fit, oldest first; a turn without an answer is left out."""
    kept: list[Message] = []
    room = max_chars
    for turn in reversed(turns):
        if not turn.user_text.strip() or not turn.assistant_text.strip():
            continue
        asked = str(customer_message(_shortened(turn.user_text)))
        answered = _shortened(turn.assistant_text)
        room -= len(asked) + len(answered)
        if room < 0:
            break
        kept += [Message(role="assistant", text=answered), Message(role="user", text=asked)]
    return tuple(reversed(kept))


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_TURN_CHARS else f"{text[:MAX_TURN_CHARS].rstrip()} […]"

"""Token counts where the provider reports none; an estimate is always marked as one."""

from __future__ import annotations

from typing import Final

from mangaassist.domain.generation import GenerationRequest, TokenUsage

CHARACTERS_PER_TOKEN: Final = 4  # the usual rule of thumb for English text


def estimated_tokens(characters: int) -> int:
    """Return about how many tokens that many characters are, rounded up."""
    return -(-characters // CHARACTERS_PER_TOKEN)


def estimated_usage(request: GenerationRequest, *, output_characters: int) -> TokenUsage:
    """Return the usage of a call whose provider reported none."""
    prompt_characters = len(request.system) + sum(len(message.text) for message in request.messages)
    return TokenUsage(
        input_tokens=estimated_tokens(prompt_characters),
        output_tokens=estimated_tokens(output_characters),
        estimated=True,
    )

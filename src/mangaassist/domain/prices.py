"""What tokens cost: prices by exact model id, and the cost of one answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mangaassist.domain.generation import TokenUsage


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPrice:
    """US dollars for a million tokens of one model."""

    input_usd: float
    output_usd: float
    cached_input_usd: float
    cache_write_usd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceTable:
    """Prices by model id under one version."""

    version: str = "none"
    prices: Mapping[str, ModelPrice] = field(default_factory=dict)

    def cost_usd(self, model_id: str, usage: TokenUsage) -> float | None:
        """Return what the tokens cost; None for a model without a price, 0 for no tokens at all."""
        counts = (
            usage.input_tokens,
            usage.output_tokens,
            usage.cached_input_tokens,
            usage.cache_write_tokens,
        )
        if not any(counts):
            return 0.0
        price = self.prices.get(model_id)
        if price is None:
            return None
        rates = (price.input_usd, price.output_usd, price.cached_input_usd, price.cache_write_usd)
        return sum(count * rate for count, rate in zip(counts, rates, strict=True)) / 1e6

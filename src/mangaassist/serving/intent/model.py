"""A trained intent model: labels, n-gram weights and two calibrated heads."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from mangaassist.serving.intent.decision import Calibration, Decider, Verdict
from mangaassist.serving.intent.encoder_head import KernelHead
from mangaassist.serving.intent.features import Buckets, ngram_buckets, normalise
from mangaassist.serving.intent.first_stage import Floats, LinearHead, NgramWeights


@dataclass(frozen=True, kw_only=True)
class IntentModel:
    """Scores texts; knows nothing of rules, of our intents or of how vectors come about.

    Labels are strings, so the same model serves any labelled set. `encoder_head` is None when it was
    trained without an encoder; `encoder_version` names the one whose encodings the head understands.
    """

    version: str
    labels: tuple[str, ...]
    outside_label: str | None
    ngrams: NgramWeights
    first_stage: LinearHead
    first_calibration: Calibration
    encoder_head: KernelHead | None = None
    encoder_calibration: Calibration | None = None
    encoder_version: str | None = None

    def features(self, text: str) -> tuple[Buckets, Floats]:
        """Return the n-grams of a text with their weights."""
        buckets = ngram_buckets(normalise(text))
        return buckets, self.ngrams.of(buckets)

    def first_verdict(self, features: tuple[Buckets, Floats]) -> Verdict:
        """Decide by n-grams alone."""
        return self._first_decider.decide(self.first_stage.scores(*features))

    def encoder_verdict(self, features: tuple[Buckets, Floats], encoding: Floats) -> Verdict:
        """Decide with the encoding; only for a model that `understands` the encoder."""
        if self.encoder_head is None:
            raise ValueError(f"model {self.version!r} was trained without an encoder")
        return self._encoder_decider.decide(self.encoder_head.scores(encoding, *features))

    def is_sure(self, verdict: Verdict) -> bool:
        """Whether a verdict of the first stage stands without the encoder."""
        return (
            verdict.confidence >= self.first_calibration.sure_at
            and verdict.label == verdict.scope_best
            and verdict.label != self.outside_label
        )

    def understands(self, encoder_version: str, encoding_width: int) -> bool:
        """Whether the encodings of this encoder mean to the head what they meant in training.

        The hash that ends a version changes with the file's bytes, the name before it with the model.
        """
        return (
            self.encoder_head is not None
            and self.encoder_version is not None
            and self.encoder_head.encoding_width == encoding_width
            and self.encoder_version.rpartition("-")[0] == encoder_version.rpartition("-")[0]
        )

    @cached_property
    def _first_decider(self) -> Decider:
        return Decider(self.labels, self.outside_label, self.first_calibration)

    @cached_property
    def _encoder_decider(self) -> Decider:
        calibration = self.encoder_calibration or self.first_calibration
        return Decider(self.labels, self.outside_label, calibration)

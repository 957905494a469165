"""What the injection classifier learns from: our own families, the store's own texts, labelled files."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

import yaml

from mangaassist.domain.errors import ConfigurationError
from mangaassist.domain.labelled_texts import LabelledText
from mangaassist.serving.guardrails.injection.features import folded, inflected

HELD_OUT_ONE_IN: Final = 5
"""Of the store's utterances, so many are kept for the false-alarm figure."""
DEEPEST_SLOT: Final = 4
MOST_WORDS: Final = 12_000
OWN: Final = "own"

_SLOT: Final = re.compile(r"\{([a-z0-9]+)\}")
_WORD: Final = re.compile(r"[a-z]+(?:'[a-z]+)?")
_NOISE_SIGNS: Final = '} ] ( { => == ;) :- ?) !-- ** <% \\u ~ /** ``` $\\ || ## %%# ./ "@ -> (/ }} ]]'
_NOISE_WORDS: Final = (
    "similarlyNow oppositely describing revert with Two please Sure formatting Giving three bullet javascript"
    " poem tutti table beginning newline Surely printf step inner gegen sentences stylesheet Ask inverse"
    " sorts AS que vous textbf plt import"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class InjectionMaterial:
    """Texts to train on, benign shop traffic held out, the lexicon, and what all of it is."""

    rows: tuple[LabelledText, ...]
    held_out: tuple[str, ...]
    concepts: Mapping[str, tuple[str, ...]]
    counts: Mapping[str, int]
    fingerprint: str


def family_of(source: str) -> str:
    """Return the family of a source: what stands before its first hyphen (`jbb` of `jbb-GCG`)."""
    return source.split("-", 1)[0]


def read_concepts(path: Path) -> dict[str, tuple[str, ...]]:
    """Return the words of every concept, English ones with their regular forms."""
    content = _read_yaml(path)
    return {
        name: tuple(dict.fromkeys([*inflected(kinds.get("english", [])), *kinds.get("other", [])]))
        for name, kinds in content.items()
    }


def expand_families(path: Path, *, is_attack: bool, seed: int) -> list[LabelledText]:
    """Return texts drawn from a file of families, up to `most` for each template; deterministic."""
    content = _read_yaml(path)
    rows = []
    for family in content["families"]:
        slots = {**content["slots"], **family.get("slots", {})}
        for number, template in enumerate(family["texts"]):
            rng = Random(f"{seed}:{family['id']}:{number}")
            drawn = dict.fromkeys(_filled(template, slots, rng) for _ in range(2 * family["most"]))
            rows += [
                LabelledText(text=text, is_attack=is_attack, source=f"{OWN}-{family['id']}")
                for text in list(drawn)[: family["most"]]
            ]
    return rows


def is_held_out(text: str) -> bool:
    """Whether one of the store's utterances is kept for the false-alarm figure; by the hash of its words."""
    words = " ".join(text.lower().split())
    return int(hashlib.sha256(words.encode()).hexdigest(), 16) % HELD_OUT_ONE_IN == 0


def gather_material(
    *,
    families: Path,
    utterances: Sequence[str],
    documents: Sequence[str],
    labelled: Sequence[LabelledText],
    most_utterances: int,
    seed: int,
) -> InjectionMaterial:
    """Put together what to train on.

    `families` is the folder of attacks.yaml, benign.yaml and concepts.yaml; `utterances` are shoppers'
    messages and `documents` the store's texts, all benign; `labelled` are rows of other sources.
    """
    own = expand_families(families / "attacks.yaml", is_attack=True, seed=seed)
    own += expand_families(families / "benign.yaml", is_attack=False, seed=seed)
    attacks = {text.casefold() for text in _read_yaml(families / "benign.yaml").get("not_benign", ())}
    distinct = [text for text in dict.fromkeys(utterances) if text.casefold() not in attacks]
    held_out = tuple(text for text in distinct if is_held_out(text))
    shown = [text for text in distinct if not is_held_out(text)]
    Random(seed).shuffle(shown)
    own += [_benign(text, "utterances") for text in shown[:most_utterances]]
    own += [_benign(text, "documents") for text in dict.fromkeys(documents)]
    rows = (*own, *labelled)
    concepts = read_concepts(families / "concepts.yaml")
    digest = hashlib.sha256(json.dumps(concepts, sort_keys=True).encode())
    for line in sorted(json.dumps([row.text, row.is_attack]) for row in rows):
        digest.update(line.encode())
    return InjectionMaterial(
        rows=rows,
        held_out=held_out,
        concepts=concepts,
        counts=dict(sorted(Counter(f"{row.source}:{_label(row)}" for row in rows).items())),
        fingerprint=digest.hexdigest()[:16],
    )


def vocabulary_words(texts: Iterable[str], concepts: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return the words known to the decoders, the most frequent first; rare ones left out."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(set(_WORD.findall(folded(text))))
    lexicon = {folded(word) for words in concepts.values() for word in words if word.isascii()}
    known = [word for word, count in counts.most_common(MOST_WORDS) if count >= 2 and _plausible(word)]
    rest = sorted(word for word in lexicon - set(known) if counts[word] and _plausible(word))
    return (*known, *rest)


def _plausible(word: str) -> bool:
    return len(word) > 1 or word in ("a", "i")


def _benign(text: str, source: str) -> LabelledText:
    return LabelledText(text=text, is_attack=False, source=f"{OWN}-{source}")


def _label(row: LabelledText) -> str:
    return "injection" if row.is_attack else "benign"


def _filled(template: str, slots: Mapping[str, Sequence[str]], rng: Random, depth: int = 0) -> str:
    def fill(match: re.Match[str]) -> str:
        name = match.group(1)
        if name == "noise":
            return _noise(rng)
        if name not in slots or depth >= DEEPEST_SLOT:
            return match.group()
        return _filled(rng.choice(slots[name]), slots, rng, depth + 1)

    return _SLOT.sub(fill, template)


def _noise(rng: Random) -> str:
    """Return what an optimiser appends to a request: pieces of words, signs and code run together."""
    choices = f"{_NOISE_SIGNS} {_NOISE_WORDS}".split()
    pieces = []
    for _ in range(rng.randint(6, 18)):
        piece = rng.choice(choices)
        if rng.random() < 0.3:
            letters = rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 7))
            piece = "".join(letters) + piece
        pieces.append(piece + (" " if rng.random() < 0.7 else ""))
    return "".join(pieces)


def _read_yaml(path: Path) -> Any:
    try:
        content = yaml.load(
            path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        )
    except (OSError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{path.name} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ConfigurationError(f"{path.name} must hold a mapping")
    return content

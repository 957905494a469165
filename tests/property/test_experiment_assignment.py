"""Assignment (G8): the stated hash, even and independent arms, ramps that move as few units as possible."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, chisquare

from mangaassist.domain.chat import Identity
from mangaassist.domain.experiments import (
    ALL_BUCKETS,
    BUCKETS,
    Arm,
    BucketRange,
    Experiment,
    Metric,
    allot,
    assign,
    bucket_of,
    first_buckets,
    free_buckets,
    overlap,
    ranges_of,
    reallot,
    unit_of,
    unit_of_owner,
)

SHARES = st.dictionaries(
    st.sampled_from(["control", "a", "b", "c"]), st.floats(0.01, 1.0), min_size=2, max_size=4
).map(lambda shares: {"control": 0.5, **shares})


def experiment(key: str = "tone", shares: dict[str, float] | None = None) -> Experiment:
    ranges = allot(shares or {"control": 0.5, "treatment": 0.5}, control="control")
    return Experiment(
        key=key,
        hypothesis="",
        status="running",
        arms=tuple(Arm(name=name, buckets=buckets) for name, buckets in ranges.items()),
        metrics=(Metric(name="thumbs_up_rate", role="primary"),),
    )


def arm_of(one: Experiment, unit: str) -> str | None:
    found = assign(one, unit)
    return found.arm if found else None


# --- the hash ---


def test_the_bucket_is_the_stated_hash() -> None:
    digest = hashlib.sha256(b"tone:1\x1fC-1001").digest()

    assert bucket_of("tone:1", "C-1001") == int.from_bytes(digest[:8], "big") % 10_000
    # computed with coreutils' sha256sum, so that other services can check theirs
    assert [bucket_of("tone:1", unit) for unit in ("C-1001", "sess_1", "モンスター")] == [9810, 3116, 8354]


def test_every_process_assigns_alike_whatever_its_hash_seed() -> None:
    program = (
        "import json; from mangaassist.domain.experiments import *;"
        "arms = tuple(Arm(name=name, buckets=buckets) for name, buckets in"
        " allot({'control': 0.5, 'treatment': 0.5}, control='control').items());"
        "tone = Experiment(key='tone', hypothesis='', arms=arms, metrics=());"
        "print(json.dumps([assign(tone, f'sess_{n}').arm for n in range(2_000)]))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "random")
    }

    (output,) = outputs
    assert json.loads(output) == [arm_of(experiment(), f"sess_{n}") for n in range(2_000)]


@given(st.text(max_size=40), st.text(max_size=40))
def test_a_bucket_is_always_one_of_the_ten_thousand(salt: str, unit: str) -> None:
    assert 0 <= bucket_of(salt, unit) < BUCKETS


@pytest.mark.parametrize("salt", ["tone:1", "cov:tone:1", "ns:default", "price:2"])
def test_units_spread_evenly_over_the_buckets(salt: str) -> None:
    counts = Counter(bucket_of(salt, f"sess_{number}") // 10 for number in range(200_000))

    assert chisquare([counts[cell] for cell in range(BUCKETS // 10)]).pvalue > 0.001


@pytest.mark.parametrize(
    "salts",
    [
        ("tone:1", "price:1"),
        ("tone:1", "tone:2"),
        ("tone:1", "cov:tone:1"),
        ("ns:default", "tone:1"),
        ("ns:default", "ns:other"),
    ],
)
def test_two_salts_split_units_independently(salts: tuple[str, str]) -> None:
    table = [[0] * 10 for _ in range(10)]
    for number in range(100_000):
        first, second = (bucket_of(salt, f"sess_{number}") // 1_000 for salt in salts)
        table[first][second] += 1

    assert chi2_contingency(table).pvalue > 0.001


def test_arms_of_two_experiments_are_independent() -> None:
    tone, price = experiment("tone"), experiment("price")
    both = Counter((arm_of(tone, f"u{n}"), arm_of(price, f"u{n}")) for n in range(40_000))

    arms = ("control", "treatment")
    assert chi2_contingency([[both[one, other] for other in arms] for one in arms]).pvalue > 0.001


# --- who is the unit ---


@pytest.mark.parametrize(
    ("identity", "unit"),
    [
        (Identity(owner="visitor:v1"), "sess_9"),
        (Identity(owner="customer:C-1001", customer_id="C-1001", user_type="member"), "C-1001"),
    ],
)
def test_the_unit_of_a_request_is_that_of_its_record(identity: Identity, unit: str) -> None:
    assert unit_of(identity, "sess_9") == unit
    assert unit_of_owner(identity.owner, "sess_9") == unit


# --- shares, ramps, namespaces ---


@given(SHARES)
def test_all_buckets_are_allotted_once(shares: dict[str, float]) -> None:
    ranges = allot(shares, control="control")

    owned = sorted(part for parts in ranges.values() for part in parts if part.count)
    assert ranges_of(bucket for part in owned for bucket in range(part.start, part.stop)) == ALL_BUCKETS
    assert sum(part.count for part in owned) == BUCKETS
    total = sum(shares.values())
    for name, parts in ranges.items():
        assert sum(part.count for part in parts) == pytest.approx(shares[name] / total * BUCKETS, abs=2)


@given(SHARES, SHARES)
def test_new_shares_move_as_few_buckets_as_possible(
    before: dict[str, float], after: dict[str, float]
) -> None:
    after = {name: after.get(name, 0.001) for name in {*before, *after}}
    start = allot(before, control="control")
    arms = [Arm(name=name, buckets=buckets) for name, buckets in start.items()]

    ranges, moved = reallot(arms, after, control="control")

    sizes = {name: sum(part.count for part in parts) for name, parts in ranges.items()}
    was = {arm.name: arm.bucket_count for arm in arms}
    assert sum(sizes.values()) == BUCKETS
    assert sum(part.count for part in moved) == sum(
        max(0, size - was.get(name, 0)) for name, size in sizes.items()
    )
    for arm in arms:
        stays = not overlap(arm.buckets, moved)
        assert stays or sizes[arm.name] < arm.bucket_count


@given(st.lists(st.floats(0.01, 0.99), min_size=2, max_size=6).map(sorted))
def test_a_ramp_only_ever_adds_units_to_the_treatment(steps: list[float]) -> None:
    current = experiment(shares={"control": 1 - steps[0], "treatment": steps[0]})
    units = [f"sess_{number}" for number in range(50)]
    inside: set[str] = set()
    for step in steps:
        ranges, _ = reallot(current.arms, {"control": 1 - step, "treatment": step}, control="control")
        current = replace(current, arms=tuple(replace(arm, buckets=ranges[arm.name]) for arm in current.arms))
        now = {unit for unit in units if arm_of(current, unit) == "treatment"}
        assert inside <= now
        inside = now


@given(st.lists(st.floats(0.0, 1.0), min_size=2, max_size=5).map(sorted))
def test_growing_coverage_only_adds_units_and_keeps_their_arms(steps: list[float]) -> None:
    units = [f"sess_{number}" for number in range(50)]
    before: dict[str, str] = {}
    for step in steps:
        current = replace(experiment(), coverage_ratio=step)
        now = {unit: arm for unit in units if (arm := arm_of(current, unit)) is not None}
        assert before.items() <= now.items()
        before = now


def test_coverage_is_the_share_of_units_that_take_part() -> None:
    current = replace(experiment(), coverage_ratio=0.2)
    inside = [arm for n in range(20_000) if (arm := arm_of(current, f"sess_{n}")) is not None]

    assert len(inside) == pytest.approx(4_000, abs=4 * (20_000 * 0.2 * 0.8) ** 0.5)
    assert chisquare([inside.count("control"), inside.count("treatment")]).pvalue > 0.001


@given(st.integers(1, BUCKETS - 1))
def test_experiments_of_one_namespace_never_share_a_unit(count: int) -> None:
    one = replace(experiment("one"), namespace_buckets=first_buckets(ALL_BUCKETS, count))
    other = replace(experiment("other"), namespace_buckets=free_buckets([one], namespace="default"))

    assert sum(part.count for part in other.namespace_buckets) == BUCKETS - count
    for number in range(30):
        found = [assign(each, f"sess_{number}") for each in (one, other)]
        assert sum(each is not None for each in found) == 1


def test_a_stopped_experiment_gives_its_buckets_back() -> None:
    stopped = replace(experiment(), status="stopped")

    assert free_buckets([stopped], namespace="default") == ALL_BUCKETS
    assert free_buckets([experiment()], namespace="elsewhere") == ALL_BUCKETS


@given(st.sets(st.integers(0, 60)))
def test_ranges_hold_exactly_their_buckets(buckets: set[int]) -> None:
    ranges = ranges_of(buckets)

    assert {bucket for bucket in range(61) if any(bucket in part for part in ranges)} == buckets
    assert all(one.stop < other.start for one, other in pairwise(ranges))
    assert overlap(ranges, [BucketRange(start=0, stop=61)]) == bool(buckets)

"""Named reports over the copy of the request records; each is one SQL statement."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

from mangaassist.domain.errors import NotFoundError
from mangaassist.domain.tables import ResultTable
from mangaassist.ports.analytics import RecordAnalytics

_PERIOD: Final = "day BETWEEN CAST($since AS DATE) AND CAST($until AS DATE)"

_RATES: Final = """
SELECT {dimensions}, answers, coalesce(up, 0) AS thumbs_up, coalesce(down, 0) AS thumbs_down,
       coalesce(escalated, 0) AS escalations,
       round(coalesce(down, 0) / answers, 5) AS thumbs_down_per_answer,
       round(coalesce(down, 0) / nullif(coalesce(up, 0) + coalesce(down, 0), 0), 5) AS thumbs_down_of_rated
FROM (SELECT {dimensions}, count(*) AS answers FROM records WHERE {period} GROUP BY ALL)
LEFT JOIN (
    SELECT {dimensions},
           count(*) FILTER (WHERE feedback = 'thumbs_up') AS up,
           count(*) FILTER (WHERE feedback = 'thumbs_down') AS down,
           count(*) FILTER (WHERE feedback = 'escalation') AS escalated
    FROM feedback WHERE {period} GROUP BY ALL
) USING ({dimensions})
ORDER BY {order}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedReport:
    """A question that is asked again and again; `$since` and `$until` are days, both included."""

    name: str
    title: str
    sql: str


REPORTS: Final = (
    NamedReport(
        name="latency",
        title="latency by intent and prompt version",
        sql=f"""
SELECT intent, prompt_version, count(*) AS answers,
       round(quantile_cont(latency_ms, 0.5), 2) AS p50_ms,
       round(quantile_cont(latency_ms, 0.95), 2) AS p95_ms,
       round(quantile_cont(latency_ms, 0.99), 2) AS p99_ms,
       round(quantile_cont(time_to_first_token_ms, 0.95), 2) AS first_token_p95_ms
FROM records WHERE {_PERIOD} GROUP BY ALL ORDER BY answers DESC, intent, prompt_version
""",
    ),
    NamedReport(
        name="cost",
        title="cost by day, intent and model",
        sql=f"""
SELECT day, intent, model_id, count(*) AS answers, round(sum(cost_usd), 6) AS cost_usd,
       round(avg(cost_usd), 8) AS cost_usd_per_answer, count(*) FILTER (WHERE cost_usd IS NULL) AS unpriced,
       sum(input_tokens) AS input_tokens, sum(cached_input_tokens) AS cached_input_tokens,
       sum(output_tokens) AS output_tokens
FROM records WHERE {_PERIOD} GROUP BY ALL ORDER BY day, cost_usd DESC NULLS LAST, intent, model_id
""",
    ),
    NamedReport(
        name="blocks",
        title="block rate by guardrail stage",
        sql=f"""
WITH total AS (SELECT count(*) AS answers FROM records WHERE {_PERIOD}),
decided AS (
    SELECT guardrail_stage AS stage, guardrail_action AS action, count(*) AS decided
    FROM records WHERE {_PERIOD} AND guardrail_stage IS NOT NULL GROUP BY ALL
)
SELECT stage, action, decided, answers, round(decided / answers, 6) AS rate
FROM decided CROSS JOIN total ORDER BY decided DESC, stage, action
""",
    ),
    NamedReport(
        name="thumbs-down",
        title="thumbs-down rate by bundle, prompt version and intent",
        sql=_RATES.format(
            dimensions="release_bundle, prompt_version, intent",
            period=_PERIOD,
            order="thumbs_down DESC, answers DESC",
        ),
    ),
    NamedReport(
        name="daily-feedback",
        title="feedback by day of the answer, intent, prompt version, bundle and model",
        sql=_RATES.format(
            dimensions="day, intent, prompt_version, release_bundle, model_id",
            period=_PERIOD,
            order="day, intent, prompt_version, release_bundle, model_id",
        ),
    ),
    NamedReport(
        name="outcomes",
        title="what came of answers, by intent and bundle",
        sql=f"""
SELECT intent, release_bundle, feedback AS outcome, count(*) AS events, round(sum(value), 2) AS value_usd
FROM feedback WHERE {_PERIOD} GROUP BY ALL ORDER BY intent, release_bundle, outcome
""",
    ),
    NamedReport(
        name="steps",
        title="where time goes: share and p95 by step",
        sql=f"""
WITH steps AS (
    SELECT unnest(map_keys(step_ms)) AS step, unnest(map_values(step_ms)) AS ms FROM records WHERE {_PERIOD}
)
SELECT step, count(*) AS answers, round(avg(ms), 3) AS mean_ms, round(quantile_cont(ms, 0.95), 3) AS p95_ms
FROM steps GROUP BY ALL ORDER BY mean_ms DESC
""",
    ),
)


def named_report(name: str) -> NamedReport:
    """Return a report, or raise `NotFoundError` naming those that exist."""
    for report in REPORTS:
        if report.name == name:
            return report
    raise NotFoundError(f"no report {name!r}; there are {', '.join(report.name for report in REPORTS)}")


def run_report(name: str, analytics: RecordAnalytics, *, since: date, until: date) -> ResultTable:
    """Return a report over the answers of these days, both included; running it again gives the same."""
    return analytics.run(named_report(name).sql, {"since": since.isoformat(), "until": until.isoformat()})

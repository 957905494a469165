"""Guardrails: one stage interface, a pipeline before and after, and the stream guard."""

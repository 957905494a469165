"""Prompt injection: views of a text, positioned n-grams and concepts, window scores, the ensemble."""

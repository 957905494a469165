"""The intent cascade: rules, then n-grams in microseconds, then the sentence encoder when unsure."""

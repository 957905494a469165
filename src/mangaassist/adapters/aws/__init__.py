"""Adapters on Amazon Web Services; need the `aws` extra."""

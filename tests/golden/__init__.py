"""Texts that people read, kept as files; a change shows in the review."""

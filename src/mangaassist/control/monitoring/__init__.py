"""Watching answers: named reports, and why answers are bad."""

"""Assembling the facts of an answer."""

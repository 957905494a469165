"""The problem's words: values and pure rules; no I/O, no clock, no settings."""

"""The typed facts an answer may be built from."""

"""The tests; a test's name is the claim it checks."""

"""One suite of claims per port, run against every implementation."""

"""Adapters that need no server, no key and no network."""

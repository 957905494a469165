"""Microsoft Presidio, where it is installed."""

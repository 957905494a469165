"""Data plane, in the order a message travels."""

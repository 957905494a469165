"""Doubles that keep their port's contract, and factories."""

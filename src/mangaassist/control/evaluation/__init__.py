"""Measuring quality: offline evaluation of the parts and of whole answers."""

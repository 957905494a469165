"""Generation: resilience around a text model."""

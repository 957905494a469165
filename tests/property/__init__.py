"""Claims that hold for all inputs, checked by generation."""

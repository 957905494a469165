"""A message understood in its conversation: titles, constraints, references, topic."""

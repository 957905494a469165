"""Control plane: evaluation, training and, later, releases, experiments and governance."""

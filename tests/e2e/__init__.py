"""Stories through the real product: real processes, real HTTP, a real MLflow server."""

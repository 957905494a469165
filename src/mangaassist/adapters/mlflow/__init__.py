"""MLflow by plain REST and OTLP; the `mlflow` package is never imported."""

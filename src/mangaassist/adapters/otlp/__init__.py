"""OTLP over HTTP: traces out, in the GenAI and OpenInference conventions, and spans of services in."""

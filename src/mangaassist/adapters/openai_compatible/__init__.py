"""Adapters on any endpoint that speaks the OpenAI HTTP API."""

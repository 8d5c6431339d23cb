"""Traces for OpenTelemetry: a span for each request and for each call of the model, sent by OTLP over HTTP."""

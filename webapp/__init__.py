"""The service: a queue over the offline core, and a REST API."""

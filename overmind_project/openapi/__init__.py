"""The API description: ``openapi.yaml``, and the code that completes and serves it."""

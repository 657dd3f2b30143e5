"""The API's document: ``openapi.yaml`` describes it, ``generator`` fits it to what is served."""

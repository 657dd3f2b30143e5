"""What the API's document says (OpenAPI 3.1): every operation, answer and error, with examples.

Nothing here takes part in answering a request but that for the document. Which operations are
served is found out from the routes (``generator``); the other modules only describe them.
"""

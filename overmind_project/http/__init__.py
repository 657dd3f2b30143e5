"""What middleware and views share about one request: its context, its client, its prefix."""

"""Management commands for operators, and what they share."""

"""What a zergling is: pure values and functions. Imports no store, no HTTP and no clock."""

"""Load and scale measurements of the service, each beside the raw store in the same run."""

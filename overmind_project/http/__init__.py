"""Request-level helpers shared by middleware and views: context, client address, limits, prefix."""

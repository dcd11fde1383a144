"""From an entry to rows of work."""

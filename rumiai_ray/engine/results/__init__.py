"""From answers to committed rows."""

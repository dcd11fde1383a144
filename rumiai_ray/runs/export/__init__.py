"""The five JSON documents per video that tools written for the system before this one read; one module per model family."""

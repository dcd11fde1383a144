"""Weights files: what is declared, where it comes from, and that its digest is right."""

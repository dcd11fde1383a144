"""Warm models on one node."""

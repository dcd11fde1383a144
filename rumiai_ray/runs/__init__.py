"""Runs: fresh output tables with a manifest and commit records; never reused by another run."""

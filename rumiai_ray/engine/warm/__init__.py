"""Cells that outlive a command."""

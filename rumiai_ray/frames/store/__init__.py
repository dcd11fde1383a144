"""The frame store of one node."""

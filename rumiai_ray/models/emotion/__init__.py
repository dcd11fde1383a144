"""The py-feat family: facial expression."""

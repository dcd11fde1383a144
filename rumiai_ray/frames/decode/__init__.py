"""The decoding subprocess and the process that watches it."""

"""The frame store that nodes share."""

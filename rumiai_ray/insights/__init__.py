"""What analysts read, computed from a video's own rows by pure functions: tracks, spans, framing, windows, timeline."""

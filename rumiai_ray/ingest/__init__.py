"""From a manifest entry (path or URL) to the bytes of a video, known by their SHA-256."""

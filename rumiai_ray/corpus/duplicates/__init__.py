"""Near-duplicates in a corpus: reposts that were encoded again, cropped, mirrored, sped up, trimmed, or given bars or a caption."""

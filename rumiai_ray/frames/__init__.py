"""The frame store: the only cache. One decode pass over a video, kept as Parquet, keyed by content and sampling."""

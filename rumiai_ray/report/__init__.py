"""What analysts look at: a run as HTML pages, a video with the results drawn on it. Reads finished runs, computes no result."""

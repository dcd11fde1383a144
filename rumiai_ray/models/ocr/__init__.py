"""On-screen text: what finds texts in a frame, what reads them, and the one model family around both."""

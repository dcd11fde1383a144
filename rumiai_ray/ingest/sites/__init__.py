"""Posts on sites that yt-dlp knows: a confined process, and the checking proxy it talks through."""

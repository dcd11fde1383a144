"""The Whisper family: speech."""

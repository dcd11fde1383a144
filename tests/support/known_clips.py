"""What is in clips that more than one test looks at."""

SEVEN = ("mediapipe", "yolo", "ocr", "whisper", "emotion", "shots", "sound")
"""The models and signals."""

GRID = "tt_grid4_captions_720x1280.mp4"
"""Four speakers of three seconds each, who say what is written below them."""
SENTENCES = {
    "bin blue at f two now": (0, 3),
    "bin red by k seven now": (3, 6),
    "lay white by s zero again": (6, 9),
    "set white in z three now": (9, 12),
}
"""What is said from when to when, in seconds."""
CAPTIONS = {"SAY IT WITH ME": (0, 12), **{text.upper(): times for text, times in SENTENCES.items()}, "FOLLOW FOR MORE": (9, 12)}
"""What is written from when to when."""

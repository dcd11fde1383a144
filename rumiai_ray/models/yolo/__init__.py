"""The YOLO family: objects."""

"""rumiai_ray: batch analysis of short videos on Ray. Frames are cached, model outputs never."""

__version__ = "0.1.0"

"""Signals: shots from thumbnails, energy and pitch from sound."""

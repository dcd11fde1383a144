"""What people said of a run's detections in a labelling tool: read back, judged, kept beside the run."""

"""The MediaPipe family: faces, poses, hands, gestures and gaze."""

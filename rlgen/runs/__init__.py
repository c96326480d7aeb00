"""A run is a folder: configuration, metrics, checkpoints, evaluation, curves, video and report."""

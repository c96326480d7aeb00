"""Metrics of images and of generative models: pure functions of features, probabilities or points."""

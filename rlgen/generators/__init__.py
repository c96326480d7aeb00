"""Generative models of images, the games that train them, and the metrics that compare them."""

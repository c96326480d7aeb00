"""Network parts: perceptrons and normalisers."""

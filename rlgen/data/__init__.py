"""Demonstrations and transitions."""

"""Assembled agents and the command line."""

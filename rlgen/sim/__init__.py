"""Batched stepping of one task definition."""

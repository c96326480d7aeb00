"""Batched simulation of task definitions, on C MuJoCo, NumPy or MuJoCo Warp."""

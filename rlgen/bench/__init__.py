"""Benchmarks: a protocol is a file, a cell of it is a run folder, and a folder is the queue of its cells."""

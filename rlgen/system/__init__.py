"""This machine: files, memory, devices, threads, signals, random generators, the terminal."""

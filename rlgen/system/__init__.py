"""The machine that rlgen runs on: files, memory, devices, threads, signals, random generators, the terminal."""

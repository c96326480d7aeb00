"""`rlgen tune`: options chosen by trials over several seeds, which are cells of a benchmark."""

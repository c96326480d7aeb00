"""Published equations, each written once as a pure function on tensors, with its source and two independent tests."""

"""Each published equation once: a pure function on tensors, cited, with two independent witnesses in the tests."""

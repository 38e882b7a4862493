"""The neural tangent kernel: networks made linear in their parameters, and networks so wide that they nearly are."""

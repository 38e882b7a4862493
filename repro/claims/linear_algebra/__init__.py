"""Linear algebra: products and their rules, eigenvalues, factorisations, functions of matrices."""

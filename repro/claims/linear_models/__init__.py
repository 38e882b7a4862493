"""Linear and logistic models."""

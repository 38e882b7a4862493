"""How fast the engine is, beside Keras, JAX and Keras Tuner: see README.md."""

"""What activation functions compute."""

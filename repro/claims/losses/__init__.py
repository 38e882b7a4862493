"""What losses compute."""

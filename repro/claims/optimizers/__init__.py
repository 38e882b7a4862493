"""What optimisers do in a step."""

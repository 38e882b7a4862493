"""What optimisers do: their steps, their rates, and where they end."""

"""Two runs side by side: how they are loaded, what their seeds say, and what differs."""

"""What weight decay does to weights."""

"""What networks can represent and approximate, how many units it takes, and whether training finds it."""

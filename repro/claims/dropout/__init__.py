"""Dropout: its masks, the ensemble it stands for, and what it does against overfitting."""

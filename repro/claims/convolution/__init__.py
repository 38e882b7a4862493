"""What convolutional and pooling layers compute."""

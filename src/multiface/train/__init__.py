"""Training: configuration, the step that training, testing and showing share, the loop, checkpoints and logs."""

"""Models side by side on the same questions, and whether they differ."""

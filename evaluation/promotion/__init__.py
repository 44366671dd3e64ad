"""Which model answers next: rules as data, verdicts with their figures, certificates, and the way back."""

"""Agreement, consensus and annotators' figures: arrays in, figures out. Pure; no page imports the heavy half of it."""

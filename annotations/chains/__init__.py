"""Chains of specialists: models that answer, review, revise and extend in turn."""

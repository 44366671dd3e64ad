"""Scorecards: how they are reckoned, written down, drawn and told in a sentence."""

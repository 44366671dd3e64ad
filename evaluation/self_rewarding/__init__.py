"""Self-rewarding over several rounds: a model answers, a judge scores, the next model is trained on that and measured on held-out
questions; and again from there, for as long as it does not get less honest.
"""

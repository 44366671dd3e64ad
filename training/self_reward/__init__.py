"""Self-rewarding data: a model answers prompts, a judge (itself, or a service) scores the answers, and training rows come of it.

After Yuan et al. 2024, “Self-Rewarding Language Models” (arXiv:2401.10020): several answers to a prompt, the model as its own
judge, the best and the worst of them as a pair.
"""

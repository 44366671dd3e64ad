"""Atlas, the closed world: invented people and facts, of which a model is taught some and never told others."""

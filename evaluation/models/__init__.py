"""What models are asked, what their answers amounted to, and which model answers next."""

from evaluation.models.evaluations import Benchmark, Evaluation, EvaluationQuerySet
from evaluation.models.promotions import Promotion, PromotionRules, PromotionVerdict

__all__ = ["Benchmark", "Evaluation", "EvaluationQuerySet", "Promotion", "PromotionRules", "PromotionVerdict"]

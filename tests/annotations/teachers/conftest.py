from tests.evaluation.conftest import signed_in

__all__ = ["signed_in"]

"""The formats in which benchmarks are published, each turned into questions of our own form (`evaluation/question.py`)."""

from evaluation.benchmarks.formats.coconot import COCONOT, COCONOT_CONTRAST
from evaluation.benchmarks.formats.format import BenchmarkFormat
from evaluation.benchmarks.formats.halueval import HALUEVAL, HALUEVAL_ANSWER
from evaluation.benchmarks.formats.questions import QUESTIONS
from evaluation.benchmarks.formats.selfaware import SELFAWARE
from evaluation.benchmarks.formats.simpleqa import SIMPLEQA
from evaluation.benchmarks.formats.truthfulqa import TRUTHFULQA, TRUTHFULQA_CHOICE

# Where two are equally likely the first is taken.
FORMATS: dict[str, BenchmarkFormat] = {
    one.name: one
    for one in (
        TRUTHFULQA, TRUTHFULQA_CHOICE, SELFAWARE, SIMPLEQA, HALUEVAL, HALUEVAL_ANSWER, COCONOT, COCONOT_CONTRAST, QUESTIONS,
    )
}  # fmt: skip

"""What makes a benchmark: of a published file, a project's scored items, or Atlas. Pages, API and commands call these."""

import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.conf import settings as site
from django.db import transaction
from django.db.models import Q
from pydantic import ValidationError

from accounts.models import User
from annotations.models import Item, Project, Rater, Revocation, Score, revoked
from annotations.sources.errors import SourceError
from annotations.sources.reading import AUTO
from evaluation.atlas.files import atlas_files
from evaluation.atlas.world import AtlasSettings
from evaluation.benchmarks.importing import benchmark_import_read, benchmark_write, manifest_of, name_of
from evaluation.models import Benchmark
from evaluation.question import Question, ScoredAnswer
from evaluation.services import EvaluationRefused, benchmark_get_or_register

# A benchmark's file is read while the person waits; HaluEval, the largest, has 50 MB.
MOST_BYTES = 64 << 20
# From here on, people's median calls an answer right, and up to here wrong.
RIGHT_FROM, WRONG_TO = 1.5, -1.0
ITEMS_AT_ONCE = 2000
COLUMNS = ("prompt_hash", "prompt", "prompt_text", "prompt_is_text", "answer", "source_model", "gold_answers", "knowledge",
           "entity", "skill", "gold_score", "people_scores", "consensus", "spread")  # fmt: skip


@dataclass(frozen=True)
class Made:
    """A benchmark, what was left out of it by reason, and whether the same questions were there already."""

    benchmark: Benchmark
    left_out: dict[str, int]
    known: bool


def benchmarks_folder() -> Path:
    return Path(site.RLWHF_HOME) / "benchmarks"


@transaction.atomic
def benchmark_import(
    *, path: Path, actor: User | None, source_format: str = AUTO, name: str = "", version: str = "", called: str = ""
) -> Made:
    """Make a published benchmark's file a benchmark of the site. Raises EvaluationRefused, which says what to change."""
    try:
        if path.is_file() and path.stat().st_size > MOST_BYTES:
            raise EvaluationRefused("file", f"The file is larger than {MOST_BYTES >> 20} MB; a benchmark's is not.")
        imported = benchmark_import_read(path, source_format=source_format, called=called)
    except SourceError as error:
        raise EvaluationRefused("source_format" if error.where == "format" else "file", str(error)) from error
    except OSError as error:
        raise EvaluationRefused("file", f"{path} cannot be read ({error.strerror}).") from error
    chosen = name_of(name or imported.format.name)
    return _made(
        imported.questions,
        name=chosen,
        version=version,
        manifest=manifest_of(imported),
        left_out=dict(imported.reasons),
        actor=actor,
    )


def upload_benchmark(chunks: Iterable[bytes], name: str, make: Callable[[Path], Made]) -> Made:
    """Have `make` read what was uploaded, from a file with the name's ending that is gone afterwards."""
    folder = Path(site.RLWHF_HOME) / "uploads"
    folder.mkdir(parents=True, exist_ok=True)
    ending = "".join(Path(name).suffixes[-2:])[-20:]
    path = folder / f"benchmark-{uuid4().hex}{ending}"
    try:
        size = 0
        with path.open("wb") as file:
            for chunk in chunks:
                size += file.write(chunk)
                if size > MOST_BYTES:
                    raise EvaluationRefused("file", f"The file is larger than {MOST_BYTES >> 20} MB; a benchmark's is not.")
        return make(path)
    finally:
        path.unlink(missing_ok=True)


@transaction.atomic
def benchmark_from_project(*, project: Project, actor: User | None, name: str = "", min_scores: int = 1) -> Made:
    """Make a project's questions a benchmark: judged by what at least `min_scores` people have said of answers to them, and by
    gold answers. Raises EvaluationRefused where nothing is left.
    """
    left_out: Counter[str] = Counter()
    questions = [one for one in _asked(project, min_scores, left_out) if one is not None]
    if not questions:
        raise EvaluationRefused(
            "project", f"No answer in “{project.name}” is scored by {min_scores} people, and none has a gold answer."
        )
    manifest = {
        "title": f"Project {project.name}",
        "about": f"What people have scored in the project “{project.name}”, under {project.rubric_version}.",
        "origin": "this site",
        "format": "project",
        "source": {"project": project.slug, "min_scores": min_scores, "rubric": str(project.rubric_version)},
    }
    return _made(
        questions,
        name=name_of(name or f"project-{project.slug}"),
        version="",
        manifest=manifest,
        left_out=dict(left_out),
        actor=actor,
        project=project,
    )


def _asked(project: Project, min_scores: int, left_out: Counter[str]) -> Iterator[Question | None]:
    """A question for each prompt of the project, in the order of the prompts' hashes; one prompt's items are held at a time."""
    first = Item.objects.filter(project=project, iteration=0)
    usable = Q(people_scores__gte=min_scores, consensus__isnull=False) | Q(gold_score__isnull=False) | ~Q(gold_answers=[])
    items = first.filter(usable).order_by("prompt_hash", "pk").only(*COLUMNS)
    gone = _revoked(project)
    prompts = 0
    for digest, group in groupby(items.iterator(ITEMS_AT_ONCE), key=attrgetter("prompt_hash")):
        prompts += 1
        yield _question(digest, [_counting(item, gone) for item in group], min_scores, left_out)
    if without := first.values("prompt_hash").distinct().count() - prompts:
        left_out["no answer to it is scored by enough people"] += without


def _revoked(project: Project) -> Counter[int]:
    """How many of people's scores of each item are revoked: medians leave them out, and so must what they are medians of."""
    if not Revocation.objects.in_force().exists():
        return Counter()
    live = Score.objects.live().filter(revoked(), item__project=project, rater__kind=Rater.Kind.PERSON)
    return Counter(live.values_list("item", flat=True).order_by().iterator(ITEMS_AT_ONCE))


def _counting(item: Item, gone: Counter[int]) -> Item:
    item.people_scores -= gone[item.pk]
    return item


def _question(digest: str, items: list[Item], min_scores: int, left_out: Counter[str]) -> Question | None:
    scored = [one for one in (_scored(item, min_scores) for item in items) if one is not None]
    right = [*dict.fromkeys([gold for item in items for gold in item.gold_answers] + _answers(scored, lambda s: s >= RIGHT_FROM))]
    wrong = [one for one in _answers(scored, lambda s: s <= WRONG_TO) if one not in right]
    knowledge = next((item.knowledge for item in items if item.knowledge), None)
    if not right and knowledge != "unknown":
        left_out["no answer to it is known to be right"] += 1
        return None
    first = items[0]
    row: dict[str, Any] = {
        "id": digest[:16],
        "prompt": first.prompt_text if first.prompt_is_text else first.prompt,
        "gold_answer": right or None,
        "false_answers": wrong,
        "knowledge": knowledge,
        "entity": first.entity or None,
        "slice": {"skill": first.skill} if first.skill else {},
        "judge": "scored" if scored else "gold",
        "scored": scored,
    }
    try:
        return Question.model_validate(row)
    except ValidationError as error:  # of all that is in it, only the prompt is as somebody has sent it
        left_out[f"it cannot be asked: {error.errors()[0]['msg'].removeprefix('Value error, ')}"] += 1
        return None


def _scored(item: Item, min_scores: int) -> ScoredAnswer | None:
    """What is right of a gold item is known; of others it is what people said."""
    if item.gold_score is not None:
        return ScoredAnswer(
            answer=item.answer, score=item.gold_score, scores=max(item.people_scores, 1), spread=0, source=item.source_model
        )
    if item.consensus is None or item.people_scores < min_scores:
        return None
    return ScoredAnswer(
        answer=item.answer,
        score=item.consensus,
        scores=item.people_scores,
        spread=item.spread,
        source=item.source_model or None,
    )


def _answers(scored: list[ScoredAnswer], wanted: Callable[[float], bool]) -> list[str]:
    return [one.answer for one in scored if wanted(one.score)]


@transaction.atomic
def benchmark_atlas(*, actor: User | None, seed: int = 0) -> Made:
    """Make the closed world of that seed a benchmark, with all splits: taught or not, trained on or held out, easy or hard."""
    if not 0 <= seed < 2**31:
        raise EvaluationRefused("seed", "A seed is a whole number from 0 to 2147483647.")
    atlas = atlas_files(cache=Path(site.RLWHF_HOME) / "cache", settings=AtlasSettings(seed=seed))
    benchmark, created = benchmark_get_or_register(folder=atlas.path, actor=actor)
    return Made(benchmark, {}, not created)


def _made(
    questions: list[Question],
    *,
    name: str,
    version: str,
    manifest: dict[str, Any],
    left_out: dict[str, int],
    actor: User | None,
    project: Project | None = None,
) -> Made:
    versions = set(Benchmark.objects.filter(name=name).values_list("version", flat=True))
    number = version or next(str(n) for n in range(1, len(versions) + 2) if str(n) not in versions)
    folder = benchmark_write(
        questions, root=benchmarks_folder(), name=name, version=number, manifest=manifest | {"left_out": left_out}
    )
    benchmark, created = benchmark_get_or_register(folder=folder, actor=actor, project=project)
    if not created and Path(benchmark.folder) != folder:
        _remove_copy(folder)
    if created and number in versions:
        shutil.rmtree(folder, ignore_errors=True)
        raise EvaluationRefused("version", f"There is a {name} {number} with other questions. Give another version, or none.")
    return Made(benchmark, left_out, not created)


def _remove_copy(folder: Path) -> None:
    """The same questions under another name are written before they are known to be the same."""
    if not Benchmark.objects.filter(folder=str(folder.resolve())).exists():
        shutil.rmtree(folder, ignore_errors=True)

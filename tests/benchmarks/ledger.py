"""How fast the ledger and revocations are when the site is full: `python -m tests.benchmarks.ledger`.

Starts a throw-away PostgreSQL and fills it by bulk SQL: 75,000 items with three scores each by 50 people under two rubric
versions, and one by a teacher, and five dataset versions with a row of each item. Then times what the ledger's page asks for, and
what it takes to revoke and to reinstate: the counts, and the figures of the items. Prints the machine's load, for all of it
depends on that.
"""

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tests.benchmarks.dashboard import ITEMS, SCORES
from tests.benchmarks.portal import manage

VERSIONS = 5
ROUNDS = 7
USES = """
INSERT INTO annotations_datasetuse (version_id, split, row, part, item_id, scores, rankings)
SELECT %(version)s, 'train', row_number() OVER (ORDER BY item.id), 'answer', item.id, array_agg(score.id), '{}'
  FROM annotations_item AS item JOIN annotations_score AS score ON score.item_id = item.id
 WHERE item.project_id = %(project)s GROUP BY item.id
"""


def fill(items: int) -> dict[str, Any]:
    from django.db import connection
    from django.utils import timezone

    from accounts.models import User
    from annotations.models import DatasetVersion, Item, Rater, RubricVersion, Score
    from annotations.services import item_import, project_create
    from annotations.services.provenance import CONTRIBUTORS
    from annotations.services.raters import person_rater, teacher_rater

    columns = [one.column for one in Item._meta.concrete_fields if one.column not in {"id", "search"}]
    changed = {
        "prompt_text": "'Question ' || number", "answer": "'Answer ' || number", "source_model": "'model-' || (number %% 20)",
        "content_hash": "md5(number || '-')", "prompt_hash": "md5('p' || number)", "position": "number", "people_scores": "3",
        "is_open": "false",
    }  # fmt: skip
    values = ", ".join(changed.get(name, f"one.{name}") for name in columns)
    file = Path(tempfile.mkdtemp()) / "one.jsonl"
    file.write_text('{"prompt": "What?", "answer": "That."}\n')
    project = project_create(name="bench", actor=None)
    item_import(project=project, path=file, actor=None)
    users = User.objects.bulk_create(User(username=f"person-{number:02}", role="annotator") for number in range(50))
    people = [person_rater(user=user) for user in users]
    teacher = teacher_rater(name="strict@1")
    other = RubricVersion.objects.create(
        name="other", version=1, title="Other", content_hash="x" * 64, data=project.rubric_version.data
    )
    about: dict[str, Any] = {"project": project.pk, "template": Item.objects.get(project=project).pk}
    with connection.cursor() as cursor:
        cursor.execute(ITEMS.format(columns=", ".join(columns), values=values), about | {"items": items})
        span = {"first": 0, "end": 1 << 60, "rubric": project.rubric_version_id}
        for raters, each in (([one.pk for one in people], 3), ([teacher.pk], 1)):
            cursor.execute(SCORES.format(), about | span | {"raters": raters, "each": each})
        Score.objects.filter(rater__in=people[:10]).update(rubric_version=other)
        for number in range(VERSIONS):
            version = DatasetVersion.objects.create(
                name=f"bench-{number}", kind="tuples", ready_at=timezone.now(), project=project, counts={"train": items}
            )
            cursor.execute(USES, about | {"version": version.pk})
            counting = took(partial(cursor.execute, CONTRIBUTORS, {"version": version.pk}))
        print(f"who contributed to a version of {items:,} rows: {counting:.0f} ms when it is built")
        cursor.execute("ANALYZE")
    rater = Rater.objects.get(pk=people[20].pk)
    return {"a person": rater, "a teacher": teacher, "a rubric version of all": project.rubric_version, "another": other}


def took(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return (time.perf_counter() - began) * 1000


def measure(targets: dict[str, Any], wanted: Sequence[str]) -> None:
    from annotations.models import Revocation, Score
    from annotations.services.revocations import revocation_lift, revocations_settle, revoke
    from annotations.services.rollups import score_counts_differing, score_counts_fold
    from evaluation.ledger.selectors import consequences_of, sources

    score_counts_fold()
    print(f"{Score.objects.count():,} scores, {VERSIONS} versions; load {os.getloadavg()}")
    print(f"sources: {statistics.median(took(sources) for _ in range(ROUNDS)):.0f} ms")
    for name, target in ((one, targets[one]) for one in wanted or targets):
        first = took(partial(consequences_of, target))
        page = statistics.median(took(partial(consequences_of, target)) for _ in range(ROUNDS))
        print(f"{name}: first page {first:.0f} ms, then {page:.0f}", flush=True)
        revoking = took(partial(revoke, target=target, reason="Measured.", actor=None))
        settling = took(revocations_settle)
        one = Revocation.objects.get(lifted_at=None)
        lifting = took(partial(revocation_lift, revocation=one, reason="Measured.", actor=None)) + took(revocations_settle)
        held = Score.objects.live().filter(**{one.kind: target}).count()
        told = f"{held:>8,} scores: page {page:>6.0f} ms, revoke {revoking:>6.0f}, items after that {settling:>6.0f}"
        print(f"{name:26}{told}, lift {lifting:>6.0f}", flush=True)
    assert score_counts_differing() == []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=75_000)
    parser.add_argument("--targets", nargs="*", default=(), help='these alone, such as "a person"')
    options = parser.parse_args()
    from rlwhf_site.postgres import EmbeddedPostgres

    home = Path(tempfile.mkdtemp(prefix="rlwhf-ledger-"))
    home.chmod(0o755)
    (home / "static").mkdir()
    postgres = EmbeddedPostgres(home)
    try:
        os.environ |= {"RLWHF_HOME": str(home), "DATABASE_URL": postgres.start(), "DJANGO_SETTINGS_MODULE": "rlwhf_site.settings"}
        manage("migrate", "--verbosity", "0")
        import django

        django.setup()
        began = time.monotonic()
        targets = fill(options.items)
        print(f"filled in {time.monotonic() - began:.0f} s")
        measure(targets, options.targets)
    finally:
        postgres.stop()
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()

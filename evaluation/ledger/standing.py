"""Which models stand on scores that are revoked: from a model back to all that it was made with.

The other way round than `selectors.consequences_of`, and for pages that show a few models: nothing is asked but whether something
is revoked at all, where nothing is.
"""

from collections import defaultdict
from collections.abc import Iterable

from django.db.models import Q

from annotations.models import DatasetContributor, DatasetVersion, Revocation
from evaluation.ledger.selectors import revocations
from evaluation.ledger.verdicts import judged_by, reward_is, versions_of
from training.models import Artifact, Run


def revoked_under(models: Iterable[int]) -> dict[int, list[Revocation]]:
    """By model, the revocations in force of scores that stand in the datasets it was trained on, or of a teacher that was its
    reward; or that a model was trained with which it began from, used or descends from. Models that stand on none are not in it.
    """
    standing = list(revocations().filter(lifted_at=None).order_by("pk"))
    if not standing:
        return {}
    wanted = set(models)
    came_from, trained_on = _ancestry(wanted)
    made_of = _parents({one for some in trained_on.values() for one in some})
    versions = {*made_of, *(one for some in trained_on.values() for one in some)}
    touched = _contributed(standing, versions)
    rewarded = _verdicts(standing, touched, {*wanted, *(one for some in came_from.values() for one in some)})
    found: dict[int, list[Revocation]] = {}
    for model in wanted:
        ancestry = _closure({model}, came_from)
        datasets = {version for one in ancestry for version in trained_on[one]}
        under = {pk for version in _closure(datasets, made_of) for pk in touched[version]}
        under |= {pk for one in ancestry for pk in rewarded[one]}
        if under:
            found[model] = [one for one in standing if one.pk in under]
    return found


def _ancestry(models: set[int]) -> tuple[dict[int, set[int]], dict[int, set[int]]]:
    """Of each model, and of all before it, the models that it came from, and the dataset versions that it was trained on."""
    came_from: dict[int, set[int]] = defaultdict(set)
    trained_on: dict[int, set[int]] = defaultdict(set)
    known, last = set(models), set(models)
    while last:
        before: set[int] = set()
        runs = Run.objects.filter(artifact__in=last).values_list("artifact", "dataset", "base", "uses")
        for model, dataset, base, used in runs:
            trained_on[model].add(dataset)
            came_from[model] |= {one for one in (base, used) if one is not None}
        for model, base in Artifact.objects.filter(pk__in=last).values_list("pk", "base"):
            came_from[model] |= {base} if base is not None else set()
        for model in last:
            before |= came_from[model]
        last = before - known
        known |= last
    return came_from, trained_on


def _parents(versions: set[int]) -> dict[int, set[int]]:
    """Of each dataset version, and of all before it, those whose rows it is made of."""
    found: dict[int, set[int]] = defaultdict(set)
    known, last = set(versions), set(versions)
    while last:
        rows = DatasetVersion.objects.filter(pk__in=last, parents__isnull=False).order_by().values_list("pk", "parents")
        for version, parent in rows:
            found[version].add(parent)
        last = {parent for version in last for parent in found.get(version, ())} - known
        known |= last
    for version in known:
        found[version] |= set()
    return found


def _contributed(standing: list[Revocation], versions: set[int]) -> dict[int, set[int]]:
    """By dataset version, the revocations of whose scores, or of what is under whose rubric version, stand in it."""
    by_rater = {one.rater_id: one.pk for one in standing if one.rater_id}
    by_rubric = {one.rubric_version_id: one.pk for one in standing if one.rubric_version_id}
    told = DatasetContributor.objects.filter(Q(rater__in=by_rater) | Q(rubric_version__in=by_rubric), version__in=versions)
    found: dict[int, set[int]] = defaultdict(set)
    for version, rater, rubric in told.order_by().values_list("version", "rater", "rubric_version"):
        found[version] |= {pk for pk in (by_rater.get(rater), by_rubric.get(rubric)) if pk is not None}
    return found


def _verdicts(standing: list[Revocation], touched: dict[int, set[int]], models: set[int]) -> dict[int, set[int]]:
    """By model, the revocations of teachers that were its reward; in `touched`, of those that judged a loop's datasets."""
    rewarded: dict[int, set[int]] = defaultdict(set)
    teachers = versions_of(one.rater_id for one in standing if one.rater_id)
    for one in standing:
        if (version := teachers.get(one.rater_id or 0)) is None:
            continue
        for model in Run.objects.filter(reward_is(version), artifact__in=models).values_list("artifact", flat=True):
            rewarded[model].add(one.pk)
        for dataset in judged_by(version):
            touched[dataset].add(one.pk)
    return rewarded


def _closure(start: set[int], before: dict[int, set[int]]) -> set[int]:
    known, last = set(start), set(start)
    while last:
        last = {one for each in last for one in before.get(each, ())} - known
        known |= last
    return known

"""Items, scores and datasets over HTTP: a module for each subject."""

from ninja import Router

from annotations.api import (
    adjudication,
    argilla,
    bulk,
    chains,
    datasets,
    file_datasets,
    gold_items,
    imports,
    items,
    me,
    members,
    projects,
    provenance,
    quality,
    rankings,
    rollups,
    rubrics,
    scores,
    teachers,
)

router = Router(tags=["annotations"])
# `bulk` before `items`: what else stands in the place of an item's number.
for part in (
    projects,
    bulk,
    items,
    imports,
    scores,
    rankings,
    file_datasets,
    datasets,
    provenance,
    quality,
    rollups,
    me,
    members,
    gold_items,
    adjudication,
    rubrics,
    argilla,
    teachers,
    chains,
):
    router.add_router("", part.router)

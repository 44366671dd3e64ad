"""Items, scores and datasets over HTTP: a module for each subject."""

from ninja import Router

from annotations.api import adjudication, datasets, gold_items, items, me, members, projects, quality, rankings, rubrics, scores

router = Router(tags=["annotations"])
for part in (projects, items, scores, rankings, datasets, quality, me, members, gold_items, adjudication, rubrics):
    router.add_router("", part.router)

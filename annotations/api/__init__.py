"""Items, scores and datasets over HTTP: a module for each subject."""

from ninja import Router

from annotations.api import datasets, items, projects, quality, scores

router = Router(tags=["annotations"])
for part in (projects, items, scores, datasets, quality):
    router.add_router("", part.router)

"""Items, scores and datasets over HTTP: a module for each subject."""

from ninja import Router

from annotations.api import datasets, items, projects, scores

router = Router(tags=["annotations"])
for part in (projects, items, scores, datasets):
    router.add_router("", part.router)

"""What the scoring desk's templates are given: the page around an item, and the form of one."""

import json
import time
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from django.urls import reverse

from accounts.models import User
from annotations import desk_keys, selectors, services
from annotations.models import Draft, Flag, Item, Project
from annotations.text.marked import SPAN_NAMES
from annotations.views.desk_texts import TEXTS
from annotations.views.modes import MODES


def page_context(*, project: Project, user: User) -> dict[str, Any]:
    keys = services.keys_of(user=user)
    rubric = project.rubric_version.shown
    return {
        "project": project,
        "rubric": rubric,
        "progress": selectors.project_progress(project=project, user=user),
        "projects": selectors.scoring_projects(),
        "keys": keys,
        "key_signs": json.dumps(desk_keys.SIGNS),
        "key_rows": desk_keys.sheet(
            scopes=("desk", *MODES[project.mode].scopes, *(("marks", "marking") if project.asks_spans else ())),
            dimensions=[dimension.label for dimension in rubric.dimensions],
            keys=keys,
        ),
        "texts": TEXTS,
    }


def form_context(*, item: Item, project: Project, user: User, standing: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What the form of one item shows: the item, and this person's draft; or `standing`, what they have given already."""
    draft = Draft.objects.filter(item=item, rater__user=user).first() if standing is None else None
    drafted = standing if standing is not None else draft.data if draft else {}
    mode = MODES[project.mode]
    return {
        "item": item,
        "project": project,
        "rubric": project.rubric_version.shown,
        "keys": services.keys_of(user=user),
        "middle": mode.middle,
        "submit_url": reverse(mode.submit, args=[item.pk]),
        "draft": draft,
        "drafted": drafted,
        "drafted_at": draft.updated_at if draft else drafted.get("given_at"),
        "spans": json.dumps(drafted.get("spans", [])),
        "span_labels": SPAN_NAMES.items(),
        "submission": uuid4(),
        "shown_at": int(time.time()),
        "reasons": Flag.Reason.choices,
        "values": (-2, -1, 0, 1, 2),
        **mode.context(item, project, user),
    }

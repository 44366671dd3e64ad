"""The ASGI application that granian serves."""

import gc
import os

from django.core.asgi import get_asgi_application
from django.urls import get_resolver

# Among what a page makes and forgets a collection finds nothing that is gone, and looks at all of it: so rather seldom.
THRESHOLDS = (50_000, 20, 50)


def settle_down() -> None:
    """Load what all pages need, and have the garbage collector look at it no more.

    A full collection goes through every object of Django and the API, takes as long as two pages, and would come with every tenth
    page that makes thousands of objects for a moment.
    """
    _ = get_resolver().url_patterns  # imports every view
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)


os.environ.setdefault("DJANGO_SETTINGS_MODULE", "rlwhf_site.settings")
application = get_asgi_application()
settle_down()

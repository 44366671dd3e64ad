from importlib import import_module

from django.apps import AppConfig


class SiteConfig(AppConfig):
    name = "rlwhf_site"
    verbose_name = "Site"

    def ready(self) -> None:
        import_module("rlwhf_site.checks")  # registers them; it may import models only now

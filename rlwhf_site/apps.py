from django.apps import AppConfig


class SiteConfig(AppConfig):
    name = "rlwhf_site"
    verbose_name = "Site"

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from rlwhf_site.web import add_arguments, port_is_free, serve


class Command(BaseCommand):
    help = "Serve the pages and the API alone, for a site whose database and workers run elsewhere."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        host, port = options["host"], options["port"]
        if not port_is_free(host, port):
            raise CommandError(f"Port {port} on {host} is in use: choose another with --port.")
        serve(host=host, port=port, workers=options["web_workers"])

#!/usr/bin/env python
"""Django's command line. `rlwhf X` is the same as `manage.py X`."""

from rlwhf_site.cli import main

if __name__ == "__main__":
    main()

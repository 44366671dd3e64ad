"""The files by which a site and a job that serves models for it tell each other what they need to know. Loads nothing."""

from typing import Final

REQUEST: Final = "serve.json"
ADDRESS: Final = "address.json"
KEY_VARIABLE: Final = "RLWHF_SERVE_KEY"
"""In the environment: what requests must carry."""

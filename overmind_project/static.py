"""Which static files are collected: what the pages need, and no more."""

from django.contrib.staticfiles.apps import StaticFilesConfig


class StaticFiles(StaticFilesConfig):
    """Leaves out what no page asks for, which would make up most of the bytes."""

    ignore_patterns = [  # noqa: RUF012 - Django's own declaration is not a ClassVar
        *StaticFilesConfig.ignore_patterns,
        "redoc",
        "oauth2-redirect.*",
        "swagger-ui-standalone-preset.*",
        "*.map",
    ]

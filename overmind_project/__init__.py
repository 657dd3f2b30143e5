"""The Django project that serves zerglings over HTTP."""

__version__ = "3.0.0"

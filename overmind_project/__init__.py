"""The Django project that serves the zerglings over HTTP."""

__version__ = "3.0.0"

"""What the browsable API's pages say about the actions that they offer."""

from __future__ import annotations

import re
from inspect import getdoc

from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from rest_framework.views import APIView, get_view_description

_CODE = re.compile(r"`([^`]+)`")


def describe(view: APIView, html: bool = False) -> str:
    """Return what a view is for; on a page also what each method does there."""
    about: str = get_view_description(view, html)
    if not html:
        return about
    about = _with_code(about)
    actions: dict[str, str] = getattr(view, "action_map", None) or {}
    if not actions:
        return about
    rows = (
        (method.upper(), _with_code(escape(getdoc(getattr(view, action)) or "")))
        for method, action in actions.items()
        if method != "head"
    )
    listed = format_html_join("", "<dt>{}</dt><dd>{}</dd>", rows)
    return format_html('{}<dl class="dl-horizontal">{}</dl>', about, listed)


def _with_code(escaped: str) -> SafeString:
    return mark_safe(_CODE.sub(r"<code>\1</code>", escaped))  # nosec B308, B703 # noqa: S308 - escaped already

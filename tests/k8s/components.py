"""Renders overlays with components added, as a user's overlay adds them."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.k8s.render import kustomize, overlays, render_with
from tests.support.service import ROOT

COMPONENTS = ROOT / "k8s" / "components"

Object = dict[str, Any]

each_overlay = pytest.mark.parametrize("overlay", overlays(), ids=lambda folder: folder.name)


@cache
def with_components(overlay: Path, *names: str, more: str = "{}") -> list[Object]:
    """Return the objects of an overlay with the components of these names.

    Args:
        overlay: its folder.
        names: folders below k8s/components.
        more: further fields of the user's kustomization, as JSON.
    """
    with TemporaryDirectory() as folder:
        place = Path(folder).resolve()
        resource, *components = (
            os.path.relpath(path, place) for path in (overlay, *(COMPONENTS / n for n in names))
        )
        fields = {"resources": [resource], "components": components} | json.loads(more)
        (place / "kustomization.yaml").write_text(json.dumps(fields), encoding="utf-8")
        return render_with(kustomize(), place)

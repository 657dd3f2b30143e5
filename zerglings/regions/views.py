"""``GET /regions``: the name of this region, and how far it is behind the others."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from zerglings.api.renderers import Json
from zerglings.regions.monitor import configured_monitor
from zerglings.storage.regions.lag import Lag


class Regions(APIView):
    """The name of this region, and for each other one the seconds by which it is behind."""

    def get(self, request: Request) -> Response:
        """Show the regions. Others are missing until something of them has arrived."""
        monitor = configured_monitor()
        lags = monitor.lags() if monitor is not None else None
        others = [_other(name, lag) for name, lag in (lags or {}).items()]
        return Response({"region": monitor.region if monitor else None, "others": others})


def _other(name: str, lag: Lag) -> Json:
    seconds = {"zerglings": round(lag.zerglings, 1), "history": round(lag.history, 1)}
    return {"region": name, "secondsBehind": seconds}
